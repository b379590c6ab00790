"""What operators do to one job, or to a kept message, by hand: safe at any moment.

The service goes on beside them. Each step is the service's own: it claims, saves and ends as poll
and on_landing do, so a step that comes too late changes nothing and says so.
"""

from collections.abc import Sequence
from datetime import datetime

from scoring.cli.failures import Refused
from scoring.errors import LandfallError
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.events.storage import Event, Ignored
from scoring.jobs.batch_job import BatchJob, of_attempt
from scoring.jobs.job import Job
from scoring.jobs.next_step import after_loss, canceled_in_time
from scoring.jobs.outcome import Finish
from scoring.jobs.progress import BY_OPERATOR, OpenJob, Progress, Save, State
from scoring.log import Action, info, warning
from scoring.ports import Services
from scoring.use_cases import cancels, ledger_writes
from scoring.use_cases.finish import finish, finish_attempt
from scoring.use_cases.on_landing import take, understood

_TRIES = 3  # while poll changes what is looked at


async def adopt(services: Services, key: str, batch_job: str, *, dry_run: bool) -> None:
    """Take a batch job for the one of an attempt whose outcome is unknown.

    Raises:
        Refused: the job is not unknown, or the batch job is none of this attempt's.
    """
    opened, job, _ = await _unknown(services, key)
    endpoint = await services.workspace.endpoint(opened.progress.endpoint)
    known = await services.endpoints.batch_job(endpoint, batch_job) if endpoint else None
    if known is None:
        raise Refused(f"endpoint {opened.progress.endpoint!r} knows no batch job {batch_job!r}")
    says_whose = bool(known.outputs) or any(known.marks)
    if says_whose and not of_attempt([known], job, opened.progress.attempt):
        raise Refused(
            f"batch job {batch_job!r} is not of this attempt: neither its output, nor its tags or"
            f" description name it ({', '.join((*known.outputs, *filter(None, known.marks)))})"
        )
    if dry_run:
        return
    adopted = opened.progress.to(State.SUBMITTED, batch_job=batch_job)
    if await ledger_writes.save(services, opened, adopted) is None:
        raise _moved_on(key)
    info(Action.ADOPTED, job=key, route=job.route.name, batch_job=batch_job, by="operator")
    await _cancel_surplus(services, opened, job, batch_job)


async def declare_lost(services: Services, key: str, *, dry_run: bool) -> str:
    """Give up an attempt whose outcome is unknown; return what follows.

    Raises:
        Refused: the job is not unknown, or its batch job is there.
    """
    opened, job, now = await _unknown(services, key)
    found = await _batch_jobs(services, opened, job)
    if found:
        raise Refused(f"its batch job is there: settle it with --adopt {found[0].name}")
    step = after_loss(opened.progress)
    follows = (
        f"the next attempt is {step.progress.attempt}"
        if isinstance(step, Save)
        else f"the job ends: {step.outcome.status}"
    )
    if not dry_run:
        await _give_up(services, opened, step, now)
    return follows


async def cancel(services: Services, key: str, *, dry_run: bool) -> str:
    """Cancel a job; return what follows. Also one that is canceled already is asked for again.

    Raises:
        Refused: it is not open, is being submitted, or has ended.
    """
    for _ in range(_TRIES):
        opened, now = await _open(services, key)
        progress = opened.progress
        if progress.state is State.SUBMITTING:
            raise Refused(f"job {key} is being submitted at this moment: try again in a minute")
        if progress.state is State.ENDED:
            raise Refused(f"job {key} has ended; its event waits for the topic")
        if dry_run or await _cancel(services, opened, now):
            return _FOLLOWS[progress.state]
    raise _moved_on(key)


async def release(services: Services, digest: str, *, dry_run: bool) -> int:
    """Take a message out of quarantine as if it had just come; return how many events it tells of.

    Raises:
        Refused: it is not there, can still not be understood, or tells of what is too old.
    """
    kept = await _kept(services, digest)
    message = await services.messages.message(kept)
    if message is None:
        raise Refused(f"{kept.entry} is gone: somebody was faster")
    events, mistakes = understood(message)
    if mistakes:
        raise Refused(f"{kept.entry} can still not be understood: {mistakes[0]}")
    await _check_remembered(services, events, kept)
    if not dry_run:
        await take(services, events, later=True)
        await services.messages.drop(kept)
        info(Action.RELEASED, digest=kept.digest, events=len(events))
    return len(events)


# --- what they share ----------------------------------------------------------------------------


async def _check_remembered(services: Services, events: Sequence[Event], kept: DeadLetter) -> None:
    """Raise `Refused` if an event is so old that its neighbours' jobs may be forgotten."""
    now = (await services.ledger.open_jobs()).now
    since = services.timing.remembered_since(now)
    for event in events:
        if isinstance(event, Ignored):
            continue
        when = event.landed or kept.since
        if when < since:
            raise Refused(
                f"{kept.entry} tells of {event.path}, which landed at {when}: the ledger may have"
                " forgotten that it was scored; `ledger replay --again` scores it"
            )


_FOLLOWS = {
    State.PENDING: "it has ended, canceled",
    State.SUBMITTED: "its batch job's cancel was asked for; poll sees its end",
    State.UNKNOWN: "it is canceled once its batch job is found, or given up",
}


async def _open(services: Services, key: str) -> tuple[OpenJob, datetime]:
    listing = await services.ledger.open_jobs()
    opened = listing.of(key)
    if opened is not None:
        return opened, listing.now
    ended = await services.ledger.end(key) is not None
    raise Refused(f"job {key} has ended" if ended else f"the ledger knows no job {key}")


async def _unknown(services: Services, key: str) -> tuple[OpenJob, Job, datetime]:
    opened, now = await _open(services, key)
    if opened.progress.state is not State.UNKNOWN:
        raise Refused(
            f"job {key} is {opened.progress.state}, not unknown: nothing is to be settled"
        )
    job = await services.ledger.job(key)
    if job is None:
        raise _moved_on(key)
    return opened, job, now


async def _batch_jobs(services: Services, opened: OpenJob, job: Job) -> tuple[BatchJob, ...]:
    endpoint = await services.workspace.endpoint(opened.progress.endpoint)
    listed = await services.endpoints.batch_jobs(endpoint) if endpoint else []
    return of_attempt(listed, job, opened.progress.attempt)


async def _cancel_surplus(services: Services, opened: OpenJob, job: Job, adopted: str) -> None:
    """Cancel what else runs for an attempt, as poll does when it adopts: it has the same output."""
    try:
        found = await _batch_jobs(services, opened, job)
    except LandfallError as failure:
        warning(Action.SURPLUS_LEFT, job=job.key, error=str(failure))
        return
    for other in found:
        if other.name != adopted and not other.state.ended:
            await cancels.cancel_surplus(services.workspace, job.key, other.name)


async def _give_up(services: Services, opened: OpenJob, step: Save | Finish, now: datetime) -> None:
    # What poll did meanwhile counts: an end is written only by who holds the entry.
    progress = step.progress if isinstance(step, Save) else opened.progress
    mine = await ledger_writes.save(services, opened, progress)
    if mine is None:
        raise _moved_on(opened.key)
    warning(
        Action.LOST,
        job=opened.key,
        route=opened.progress.route,
        attempt=opened.progress.attempt,
        by="operator",
    )
    if isinstance(step, Finish):
        await finish_attempt(services, mine, step.outcome, now)


async def _cancel(services: Services, opened: OpenJob, now: datetime) -> bool:
    """Cancel a job that stands so; False: it moved on."""
    if opened.progress.state is State.PENDING:
        return await _end_before_submission(services, opened, now)
    progress = opened.progress
    if progress.cancel_asked is None:
        progress = _canceled(progress, progress.state, now)
        if await ledger_writes.save(services, opened, progress) is None:
            return False
    if progress.batch_job:
        await cancels.ask_for_cancel(services.workspace, opened.key, progress)
    return True


async def _end_before_submission(services: Services, opened: OpenJob, now: datetime) -> bool:
    job = await services.ledger.job(opened.key)
    if job is None:
        return False
    # So marked nobody submits it; who dies here leaves what poll ends as canceled, too.
    marked = _canceled(opened.progress, State.SUBMITTING, now)
    mine = await ledger_writes.save(services, opened, marked)
    if mine is None:
        return False
    await finish(services, mine, job, canceled_in_time(), mine.changed)
    return True


def _canceled(progress: Progress, state: State, now: datetime) -> Progress:
    return progress.to(state, cancel_asked=now, cancel_code=BY_OPERATOR)


async def _kept(services: Services, digest: str) -> DeadLetter:
    kinds = [
        await services.messages.kept(kind)
        for kind in (DeadLetterKind.QUARANTINE, DeadLetterKind.STUCK)
    ]
    found = [kept for kind in kinds for kept in kind if kept.digest.startswith(digest)]
    if len({kept.digest for kept in found}) > 1:
        raise Refused(f"{len(found)} kept messages begin with {digest!r}: write more of it")
    if not found:
        raise Refused(f"no message is kept whose digest begins with {digest!r}")
    return found[0]


def _moved_on(key: str) -> Refused:
    return Refused(f"job {key} moved on meanwhile: look at it again")
