"""What to do next: pure functions from what is known to a step.

`next_step` is poll's; it is asked again with the report that a step brought, until nothing is
left to do in this tick. `after_answer` is what follows a POST, `before_submission` and `verdict`
look at the blobs before and after a batch job. The letters are those of docs/design.md.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scoring.job import Job, OpenJob, Progress, State, digest
from scoring.landing import Aware, Landing
from scoring.log import Action
from scoring.ports import (
    Accepted,
    Answer,
    BatchJob,
    Blob,
    Forbidden,
    JobState,
    NotSent,
    Refused,
)
from scoring.timing import Timing
from scoring.uris import same_datastore_path

LOST_ATTEMPTS = 3  # so many, and the job has failed
# Of several batch jobs of one attempt the first of the best state is kept.
_KEPT = (JobState.COMPLETED, JobState.OPEN, JobState.FAILED, JobState.CANCELED)


class Status(enum.StrEnum):
    """How a job ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job, or of an attempt that may be followed by another."""

    status: Status
    code: str = ""  # the reason; empty for a completed job
    message: str = ""
    batch_job: BatchJob | None = None  # as the endpoint last described it
    output: Blob | None = None  # what was found there


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


class Announce(msgspec.Struct, frozen=True):
    """Publish what done/ says."""


class Save(msgspec.Struct, frozen=True):
    """Write this progress, and log the action if there is one."""

    progress: Progress
    action: Action | None = None
    reason: str | None = None


class Adopt(msgspec.Struct, frozen=True):
    """Write this progress and cancel what else runs for the attempt (edge g)."""

    progress: Progress
    surplus: tuple[BatchJob, ...]


class Finish(msgspec.Struct, frozen=True):
    """The batch job, or the job, has come to an end (edge c)."""

    outcome: Outcome


Step = Wait | Submit | FindEnd | Look | Ask | Announce | Save | Adopt | Finish


# --- reports ------------------------------------------------------------------------------------


class NoEnd(msgspec.Struct, frozen=True):
    """There is nothing in done/."""


class Found(msgspec.Struct, frozen=True):
    """The attempt's batch jobs in a whole listing."""

    batch_jobs: tuple[BatchJob, ...]


class NotKnown(msgspec.Struct, frozen=True):
    """The endpoint knows no batch job of that name."""


Report = NoEnd | Found | BatchJob | NotKnown


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """When a tick of poll happens. Both times are the storage service's."""

    now: Aware
    last: Aware | None  # when the last pass that was finished began
    held_routes: frozenset[str]  # whose pending jobs are not submitted


# --- poll ---------------------------------------------------------------------------------------


def next_step(opened: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    """Return what to do with an open job, given what the last step reported."""
    match opened.progress.state:
        case State.PENDING:
            return _pending(opened.progress, tick)
        case State.SUBMITTING:
            return _submitting(opened, report, tick, timing)
        case State.UNKNOWN:
            return _unknown(opened, report, tick, timing)
        case State.SUBMITTED:
            return _submitted(opened, report, tick, timing)
        case State.ENDED:
            return Announce()


def _pending(progress: Progress, tick: Tick) -> Step:
    too_early = progress.not_before is not None and tick.now < progress.not_before
    return Wait() if too_early or progress.route in tick.held_routes else Submit()


def _submitting(opened: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    if tick.now - opened.changed < timing.stale_claim:
        return Wait()
    if report is None:
        return FindEnd()
    # f: whoever claimed it died, or froze, before or after the POST.
    unknown = opened.progress.to(State.UNKNOWN, submitted=opened.changed)
    return Save(unknown, Action.UNCLEAR, "stale claim")


def _unknown(opened: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    progress, last_look = opened.progress, opened.changed + timing.settle[-1]
    if report is None:
        looks = (opened.changed + age for age in timing.settle)
        due = tick.now >= last_look or any(_in_window(look, tick) for look in looks)
        return Look() if due else Wait()
    if isinstance(report, Found) and report.batch_jobs:
        kept = min(report.batch_jobs, key=lambda one: _KEPT.index(one.state))
        adopted = progress.to(State.SUBMITTED, batch_job=kept.name)
        others = (one for one in report.batch_jobs if one.state is JobState.OPEN)
        return Adopt(adopted, tuple(one for one in others if one.name != kept.name))
    if tick.now < last_look:
        return Wait()
    # h: the attempt is lost; it is never POSTed again.
    again = progress.next_attempt(lost=True)
    if len(again.lost_attempts) >= LOST_ATTEMPTS:
        message = f"{LOST_ATTEMPTS} submissions were never answered, nor found at the endpoint"
        return Finish(Outcome(status=Status.FAILED, code="outcome-unknown", message=message))
    return Save(again, Action.LOST)


def _submitted(opened: OpenJob, report: Report | None, tick: Tick, timing: Timing) -> Step:
    progress = opened.progress
    if report is None:
        since = progress.submitted or opened.changed
        return Ask() if _question_due(since, tick, timing) else Wait()
    if isinstance(report, BatchJob):
        return _reported(progress, report)
    if progress.gone_since is None:
        return Save(progress.to(State.SUBMITTED, gone_since=tick.now))
    if tick.now - progress.gone_since < timing.gone_patience:
        return Wait()
    message = f"the endpoint has not known {progress.batch_job} since {progress.gone_since}"
    return Finish(Outcome(status=Status.FAILED, code="batch-job-gone", message=message))


def _reported(progress: Progress, report: BatchJob) -> Step:
    match report.state:
        case JobState.OPEN if progress.gone_since is not None:
            return Save(progress.to(State.SUBMITTED, gone_since=None))
        case JobState.OPEN:
            return Wait()
        case JobState.COMPLETED:
            return Finish(Outcome(status=Status.COMPLETED, batch_job=report))
        case JobState.CANCELED:
            return _ended(Status.CANCELED, "batch-job-canceled", report)
        case JobState.FAILED:
            return _ended(Status.FAILED, "batch-job-failed", report)


def _ended(status: Status, code: str, report: BatchJob) -> Finish:
    return Finish(Outcome(status=status, code=code, message=report.message, batch_job=report))


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


# --- around a POST ------------------------------------------------------------------------------

_BORNE_FOR_A_WHILE = frozenset({401, 403, 404})
_THROTTLED = 429
DEFINITE = frozenset({400, 413, 422, _THROTTLED}) | _BORNE_FOR_A_WHILE
"""Statuses that say for certain that nothing was created. Every other one is unclear."""


class Newer(msgspec.Struct, frozen=True):
    """The landed blob was overwritten before its turn; this stands there now."""

    landing: Landing


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What lies where a job's input should be, just before its submission."""

    trigger: Blob | Forbidden | None  # the landed blob; for a folder its marker
    files: Sequence[Blob] | Forbidden = ()  # a folder's


def before_submission(job: Job, seen: Seen) -> Outcome | Newer | None:
    """Return why a job is not submitted, or None if it is.

    Where the app may not look, the endpoint has the last word.
    """
    blob = seen.trigger
    if isinstance(blob, Forbidden):
        return None
    if blob is None:
        return _rejected("deleted", "it was deleted before its turn")
    if blob.etag != job.landing.etag:
        now_there = {"etag": blob.etag, "size": blob.size, "landed": blob.modified}
        return Newer(msgspec.structs.replace(job.landing, **now_there))
    if job.route.input == "folder":
        return _empty_folder(job, seen.files)
    return _unfit(blob)


def _empty_folder(job: Job, files: Sequence[Blob] | Forbidden) -> Outcome | None:
    if isinstance(files, Forbidden) or any(file.path != job.landing.path for file in files):
        return None
    return _rejected("folder-empty", "no file but the marker lies directly in it")


def _unfit(blob: Blob) -> Outcome | None:
    if not blob.block:
        return _rejected("not-a-block-blob", "page and append blobs cannot be scored")
    if blob.archived:
        return _rejected("archived", "it lies in the archive tier and cannot be read")
    if blob.size == 0:
        return _rejected("empty", "it has no content")
    return None


def _rejected(code: str, message: str) -> Outcome:
    return Outcome(status=Status.REJECTED, code=code, message=message)


def after_answer(opened: OpenJob, answer: Answer, now: datetime, timing: Timing) -> Save | Finish:
    """Return what follows the answer to a POST of the attempt that `opened` describes."""
    progress = opened.progress
    if isinstance(answer, Accepted):
        # What was written before this time is not the attempt's output.
        accepted = progress.to(
            State.SUBMITTED,
            batch_job=answer.batch_job,
            submitted=opened.changed,
            refused_since=None,
            not_before=None,
        )
        return Save(accepted, Action.SUBMITTED)
    if isinstance(answer, Refused) and answer.status in DEFINITE:
        return _refused(progress, answer, now, timing)
    if isinstance(answer, NotSent):
        return Save(progress.to(State.PENDING), Action.HELD, answer.message)
    reason = _said(answer) if isinstance(answer, Refused) else answer.message
    unknown = progress.to(State.UNKNOWN, submitted=opened.changed)
    return Save(unknown, Action.UNCLEAR, reason)


def _said(answer: Refused) -> str:
    return f"{answer.status}: {answer.message}"


def _refused(progress: Progress, answer: Refused, now: datetime, timing: Timing) -> Save | Finish:
    reason = _said(answer)
    if answer.status == _THROTTLED:
        longest = timing.refusal_patience.total_seconds()
        wait = max(timedelta(seconds=min(answer.retry_after, longest)), timing.tick)
        return Save(progress.to(State.PENDING, not_before=now + wait), Action.HELD, reason)
    since = progress.refused_since or now
    if answer.status in _BORNE_FOR_A_WHILE and now - since < timing.refusal_patience:
        wait = min(max(now - since, timing.ask_at_most), timing.retry_at_most)
        held = progress.to(State.PENDING, refused_since=since, not_before=now + wait)
        return Save(held, Action.HELD, reason)
    return Finish(Outcome(status=Status.FAILED, code="refused", message=reason))


# --- after a batch job --------------------------------------------------------------------------


def verdict(outcome: Outcome, progress: Progress, output: Blob | Forbidden | None) -> Outcome:
    """Return the outcome once the output was looked at: completed is not believed blindly."""
    if outcome.status is not Status.COMPLETED or isinstance(output, Forbidden):
        return outcome
    if output is None:
        return _without_output(outcome, "output-missing", "nothing lies at the output URI")
    if progress.submitted is not None and output.modified < progress.submitted:
        message = f"what lies at the output URI was written at {output.modified}, before the job"
        return _without_output(outcome, "output-older", message)
    return msgspec.structs.replace(outcome, output=output)


def _without_output(outcome: Outcome, code: str, message: str) -> Outcome:
    return msgspec.structs.replace(outcome, status=Status.FAILED, code=code, message=message)


def another_attempt(job: Job, progress: Progress, outcome: Outcome) -> Save | None:
    """Return the step to another attempt if the route grants one after a failed batch job."""
    failed = outcome.status is Status.FAILED and outcome.batch_job is not None
    so_far = progress.attempt - len(progress.lost_attempts)
    if not failed or so_far >= job.route.max_attempts:
        return None
    return Save(progress.next_attempt(lost=False), Action.TRYING_AGAIN, outcome.code)


def is_of_attempt(batch_job: BatchJob, tag: str, output_uri: str) -> bool:
    """Tell whether a listed batch job belongs to an attempt: by its output, a tag or description."""
    return tag in batch_job.marks or any(
        same_datastore_path(output, output_uri) for output in batch_job.outputs
    )


def overwritten(job: Job, progress: Progress, seen: Seen) -> bool | None:
    """Tell whether the input is no longer what was submitted; None where it cannot be told."""
    if job.route.input == "folder":
        if isinstance(seen.files, Forbidden) or not progress.folder_digest:
            return None
        return folder_digest(seen.files) != progress.folder_digest
    return seen.trigger.etag != job.landing.etag if isinstance(seen.trigger, Blob) else None


def folder_digest(files: Sequence[Blob]) -> str:
    """Return what identifies the versions of a folder's files: a digest over paths and ETags."""
    return digest(*(part for file in files for part in (file.path, file.etag)))
