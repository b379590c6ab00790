"""What poll does next with an open job: a pure function from what is known to a step.

It is asked again with the report that a step brought, until nothing is left to do in this tick.
The letters are those of docs/design.md.
"""

from datetime import datetime, timedelta

import msgspec

from scoring.jobs.batch_job import BatchJob, JobState
from scoring.jobs.blobs import Blob, Forbidden, Unreadable
from scoring.jobs.budgets import give_up_at, run_out
from scoring.jobs.outcome import Finish, Outcome, Status
from scoring.jobs.progress import BY_OPERATOR, OpenJob, Progress, Save, State
from scoring.log import Action
from scoring.timing import Aware, Timing

LOST_ATTEMPTS = 3  # so many, and the job has failed
# Of several batch jobs of one attempt the first of the best state is kept.
_KEPT = (
    JobState.COMPLETED,
    JobState.RUNNING,
    JobState.OPEN,
    JobState.CANCELING,
    JobState.FAILED,
    JobState.CANCELED,
)


# --- steps --------------------------------------------------------------------------------------


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do now."""


class Submit(msgspec.Struct, frozen=True):
    """Make an attempt (edge e)."""


class FindEnd(msgspec.Struct, frozen=True):
    """Look in done/; report `NoEnd` if nothing is there."""


class Look(msgspec.Struct, frozen=True):
    """List the endpoint's batch jobs; report those of the attempt."""


class Ask(msgspec.Struct, frozen=True):
    """Ask the endpoint for the batch job."""


class AskWorkspace(msgspec.Struct, frozen=True):
    """Ask the workspace for a batch job that its endpoint does not know."""


class LookAtOutput(msgspec.Struct, frozen=True):
    """Look at what lies where the attempt's output goes."""

    listed: bool = True  # whether the endpoint's batch jobs could be listed


class Announce(msgspec.Struct, frozen=True):
    """Publish what done/ says."""


class Adopt(msgspec.Struct, frozen=True):
    """Write this progress and cancel what else runs for the attempt (edge g)."""

    progress: Progress
    surplus: tuple[BatchJob, ...]


class Cancel(msgspec.Struct, frozen=True):
    """Write this progress, then ask for the cancel of its batch job."""

    progress: Progress | None  # None: it is written already


Question = FindEnd | Look | Ask | AskWorkspace | LookAtOutput
Step = Wait | Submit | Question | Announce | Save | Adopt | Cancel | Finish


# --- reports ------------------------------------------------------------------------------------


class NoEnd(msgspec.Struct, frozen=True):
    """There is nothing in done/."""


class Found(msgspec.Struct, frozen=True):
    """The attempt's batch jobs in a whole listing."""

    batch_jobs: tuple[BatchJob, ...]


class NoListing(msgspec.Struct, frozen=True):
    """The endpoint's batch jobs could not be listed."""


class NotKnown(msgspec.Struct, frozen=True):
    """The endpoint knows no batch job of that name."""


class NotInWorkspace(msgspec.Struct, frozen=True):
    """The workspace knows no batch job of that name either."""


class OutputFound(msgspec.Struct, frozen=True):
    """What lies where the attempt's output goes."""

    output: Blob | Forbidden | Unreadable | None
    listed: bool  # whether the endpoint's batch jobs could be listed


Report = NoEnd | Found | NoListing | BatchJob | NotKnown | NotInWorkspace | OutputFound


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """When a tick of poll happens. Both times are the storage service's."""

    now: Aware
    last: Aware | None  # when the last pass that was finished began
    waiting: frozenset[str] = frozenset()  # keys of the pending jobs that are not submitted


# --- poll ---------------------------------------------------------------------------------------


def next_step(entry: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    """Return what to do with an open job, given what the last step reported."""
    match entry.progress.state:
        case State.PENDING:
            due = entry.progress.may_be_submitted(tick.now) and entry.key not in tick.waiting
            return Submit() if due else Wait()
        case State.SUBMITTING:
            return _submitting(entry, report, tick, timing)
        case State.UNKNOWN:
            return _unknown(entry, report, tick, timing)
        case State.SUBMITTED:
            return _submitted(entry, report, tick, timing)
        case State.ENDED:
            return Announce()


def _submitting(entry: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    if tick.now - entry.changed < timing.stale_claim:
        return Wait()
    if report is None:
        return FindEnd()
    if entry.progress.cancel_asked is not None:
        return Finish(canceled_in_time())  # the operator died; nobody submits what is marked so
    # f: the host that claimed it died or froze, before or after the POST.
    unknown = entry.progress.to(State.UNKNOWN, submitted=entry.changed)
    return Save(unknown, Action.UNCLEAR, "stale claim")


def canceled_in_time() -> Outcome:
    """Return the end of a job that an operator has canceled before its submission."""
    message = "an operator canceled it before its submission"
    return Outcome(status=Status.CANCELED, code=BY_OPERATOR, message=message)


def _unknown(entry: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    progress, last_look = entry.progress, entry.changed + timing.lookup_ages[-1]
    held = progress.on_unknown == "hold"
    if report is None:
        looks = (entry.changed + age for age in timing.lookup_ages)
        over = tick.now >= last_look
        if over and held:
            since = (tick.now - last_look) // timing.held_look * timing.held_look
            over = _in_window(last_look + since, tick)
        due = over or any(_in_window(look, tick) for look in looks)
        return Look() if due else Wait()
    if isinstance(report, Found) and report.batch_jobs:
        kept = min(report.batch_jobs, key=lambda one: _KEPT.index(one.state))
        adopted = progress.to(State.SUBMITTED, batch_job=kept.name)
        others = (one for one in report.batch_jobs if not one.state.ended)
        return Adopt(adopted, tuple(one for one in others if one.name != kept.name))
    if isinstance(report, OutputFound):
        return _unanswered(entry, report, tick, timing)
    return LookAtOutput(listed=isinstance(report, Found)) if tick.now >= last_look else Wait()


def _unanswered(entry: OpenJob, report: OutputFound, tick: Tick, timing: Timing) -> Step:
    """Return what follows when no listing has shown the attempt's batch job for long enough."""
    progress = entry.progress
    result = _result(progress, report.output)
    if result is not None:
        return _by_output(result, tick, timing)
    if progress.on_unknown == "hold":
        return Wait()
    if report.listed:
        return after_loss(progress)
    if tick.now - entry.changed < timing.refusal_patience:
        return Wait()
    message = "the submission was not answered, and the endpoint's batch jobs cannot be listed"
    if progress.cancel_asked is not None:
        return _cut_short(progress, message, None)
    return Finish(Outcome(status=Status.FAILED, code="outcome-unknown", message=message))


def _result(progress: Progress, output: Blob | Forbidden | Unreadable | None) -> Blob | None:
    """Return an output that is evidence that its attempt was accepted."""
    if not isinstance(output, Blob):
        return None
    old = progress.submitted is not None and output.modified < progress.submitted
    return None if old else output


def _by_output(output: Blob, tick: Tick, timing: Timing) -> Wait | Finish:
    """Return the end of an attempt whose output alone is known, once nobody writes it any more."""
    if tick.now - output.modified < timing.output_settles:
        return Wait()
    return Finish(Outcome(status=Status.COMPLETED))


def after_loss(progress: Progress) -> Save | Finish:
    """Return what follows an attempt that is lost (edge h); it is never POSTed again."""
    again = progress.next_attempt(lost=True)
    if progress.cancel_asked is not None:
        message = "an operator asked for its cancel, and its batch job was never found"
        return _cut_short(progress, message, None)
    if len(again.lost_attempts) >= LOST_ATTEMPTS:
        message = f"{LOST_ATTEMPTS} submissions were never answered, nor found at the endpoint"
        return Finish(Outcome(status=Status.FAILED, code="outcome-unknown", message=message))
    return Save(again, Action.LOST)


def _submitted(entry: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    progress = entry.progress
    since = progress.submitted or entry.changed
    if report is None:
        return _question(entry, since, tick, timing)
    if isinstance(report, BatchJob) and report.state.ended:
        return _ended(progress, report)
    if progress.cancel_asked is not None:
        return _canceling(entry, since, report, tick, timing)
    if isinstance(report, BatchJob):
        return _under_way(progress, since, report.state, tick, timing)
    return _gone(progress, report, tick, timing)


def _question(entry: OpenJob, since: datetime, tick: Tick, timing: Timing) -> Step:
    given_up = give_up_at(entry, since, timing)
    if tick.last is not None and tick.last > max(given_up, entry.changed):
        return _unseen_end(entry.progress, None)  # the last pass asked, without success
    due = tick.now >= given_up or _question_due(since, tick, timing)
    return Ask() if due else Wait()


def _ended(progress: Progress, report: BatchJob) -> Step:
    if report.state is JobState.COMPLETED:
        return Finish(Outcome(status=Status.COMPLETED, batch_job=report))
    if progress.cancel_asked is not None:
        why = "by an operator" if progress.cancel_code == BY_OPERATOR else "its time was up"
        canceled = f"{why}: its cancel was asked for at {progress.cancel_asked}"
        message = "; ".join(filter(None, [canceled, report.message]))
        return _cut_short(progress, message, report)
    status, code = (
        (Status.CANCELED, "batch-job-canceled")
        if report.state is JobState.CANCELED
        else (Status.FAILED, "batch-job-failed")
    )
    return Finish(Outcome(status=status, code=code, message=report.message, batch_job=report))


def _canceling(entry: OpenJob, since: datetime, report: Report, tick: Tick, timing: Timing) -> Step:
    """Return what follows a question about a batch job whose cancel was asked for."""
    known = report if isinstance(report, BatchJob) else None
    if tick.now >= give_up_at(entry, since, timing):
        return _unseen_end(entry.progress, known)
    return Cancel(None) if known and known.state is not JobState.CANCELING else Wait()


def _under_way(
    progress: Progress, since: datetime, state: JobState, tick: Tick, timing: Timing
) -> Step:
    here = progress.to(State.SUBMITTED, gone_since=None)
    code = run_out(progress, since, state, tick.now, timing)
    if code is not None:
        return Cancel(here.to(State.SUBMITTED, cancel_asked=tick.now, cancel_code=code))
    # That a short one runs is not written down.
    long_enough = tick.now - since >= timing.ask_at_most
    if state is JobState.RUNNING and progress.running is None and long_enough:
        return Save(here.to(State.SUBMITTED, running=tick.now))
    return Save(here) if progress.gone_since is not None else Wait()


def _gone(progress: Progress, report: Report, tick: Tick, timing: Timing) -> Step:
    if progress.gone_since is None:
        return Save(progress.to(State.SUBMITTED, gone_since=tick.now))
    if tick.now - progress.gone_since < timing.gone_patience:
        return Wait()
    if isinstance(report, NotKnown):
        return AskWorkspace()
    if isinstance(report, NotInWorkspace):
        return LookAtOutput()
    result = _result(progress, report.output) if isinstance(report, OutputFound) else None
    if result is not None:
        return _by_output(result, tick, timing)
    message = f"the endpoint has not known {progress.batch_job} since {progress.gone_since}"
    return Finish(Outcome(status=Status.FAILED, code="batch-job-gone", message=message))


def _unseen_end(progress: Progress, report: BatchJob | None) -> Finish:
    message = f"nobody has seen {progress.batch_job} end: it may still be running"
    return _cut_short(progress, message, report)


def _cut_short(progress: Progress, message: str, report: BatchJob | None) -> Finish:
    by_operator = progress.cancel_code == BY_OPERATOR
    return Finish(
        Outcome(
            status=Status.CANCELED if by_operator else Status.TIMED_OUT,
            code=progress.cancel_code or "whole-timeout",
            message=message,
            batch_job=report,
        )
    )


def _question_due(since: datetime, tick: Tick, timing: Timing) -> bool:
    """Tell whether a question falls into this tick: asked at geometric ages, without a record."""
    if tick.last is None:
        return True
    return _first_age(tick.last - since, timing) < tick.now - since


def _first_age(start: timedelta, timing: Timing) -> timedelta:
    """Return the first of the ages at which a batch job is asked about that is not below `start`.

    Each wait is a tenth of the age, but never under the tick and never over the longest wait.
    """
    age = timing.tick
    while age < start:
        step = min(max(age / 10, timing.tick), timing.ask_at_most)
        age += step if step < timing.ask_at_most else max((start - age) // step, 1) * step
    return age


def _in_window(time: datetime, tick: Tick) -> bool:
    # The end belongs to the next tick: a job may be written in the second after this one's listing.
    return (tick.last is None or tick.last <= time) and time < tick.now
