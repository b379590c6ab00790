"""What an operator can do to one job, or to a kept message.

All of it is safe while the app runs. The steps are those of poll and on_landing, with the same
conditional writes: a step that comes too late changes nothing, and raises `Refused`.
"""

from collections.abc import Sequence
from datetime import datetime

from scoring.cli.failures import Refused
from scoring.errors import LandfallError
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.events.storage import Ignored, Renamed
from scoring.jobs.batch_job import BatchJob, of_attempt
from scoring.jobs.job import Job
from scoring.jobs.next_step import after_loss, canceled_in_time
from scoring.jobs.outcome import Finish
from scoring.jobs.progress import BY_OPERATOR, OpenJob, Progress, Save, State
from scoring.log import Action, info, warning
from scoring.ports import Services
from scoring.use_cases import cancels, ledger_writes
from scoring.use_cases.finish import finish, finish_attempt
from scoring.use_cases.on_landing import Event, take, understood

_TRIES = 3  # when poll changes the entry at the same time


async def adopt(services: Services, key: str, batch_job: str, *, dry_run: bool) -> None:
    """Adopt a batch job as that of an attempt with an unknown outcome.

    Raises:
        Refused: the job is not unknown, or the batch job does not belong to this attempt.
    """
    entry, job, _ = await _unknown(services, key)
    endpoint = await services.workspace.endpoint(entry.progress.endpoint)
    known = await services.endpoints.batch_job(endpoint, batch_job) if endpoint else None
    if known is None:
        raise Refused(f"endpoint {entry.progress.endpoint!r} has no batch job {batch_job!r}")
    identifiable = bool(known.outputs) or any(known.marks)
    if identifiable and not of_attempt([known], job, entry.progress.attempt):
        raise Refused(
            f"batch job {batch_job!r} does not belong to this attempt, by its output, tags and"
            f" description ({', '.join((*known.outputs, *filter(None, known.marks)))})"
        )
    if dry_run:
        return
    adopted = entry.progress.to(State.SUBMITTED, batch_job=batch_job)
    if await ledger_writes.save(services, entry, adopted) is None:
        raise _changed(key)
    info(Action.ADOPTED, job=key, route=job.route.name, batch_job=batch_job, by="operator")
    await _cancel_surplus(services, entry, job, batch_job)


async def declare_lost(services: Services, key: str, *, dry_run: bool) -> str:
    """Give up an attempt with an unknown outcome; return what follows.

    Raises:
        Refused: the job is not unknown, or the endpoint lists its batch job.
    """
    entry, job, now = await _unknown(services, key)
    unchecked = ""
    try:
        found = await _batch_jobs(services, entry, job)
    except LandfallError as failure:
        # Such a listing may be refused always; then the operator's word is all there is.
        found, unchecked = (), f"; whether its batch job exists could not be checked: {failure}"
    if found:
        raise Refused(f"its batch job exists: settle it with --adopt {found[0].name}")
    step = after_loss(entry.progress)
    follows = (
        f"the next attempt is {step.progress.attempt}"
        if isinstance(step, Save)
        else f"the job ends: {step.outcome.status}"
    ) + unchecked
    if not dry_run:
        await _give_up(services, entry, step, now)
    return follows


async def cancel(services: Services, key: str, *, dry_run: bool) -> str:
    """Cancel a job; return what follows. If it is being canceled already, request that once more.

    Raises:
        Refused: it is not open, is being submitted, or has ended.
    """
    for _ in range(_TRIES):
        entry, now = await _open(services, key)
        progress = entry.progress
        if progress.state is State.SUBMITTING:
            raise Refused(f"job {key} is being submitted: try again in a minute")
        if progress.state is State.ENDED:
            raise Refused(f"job {key} has ended; its event is not published yet")
        if dry_run or await _cancel(services, entry, now):
            return _FOLLOWS[progress.state]
    raise _changed(key)


async def release(services: Services, digest: str, *, dry_run: bool) -> int:
    """Process a kept message as if it had just arrived; return how many events it has.

    Raises:
        Refused: it does not exist, still cannot be understood, or has an event that is too old.
    """
    kept = await _kept(services, digest)
    message = await services.messages.message(kept)
    if message is None:
        raise Refused(f"{kept.entry} no longer exists: it was dealt with in the meantime")
    events, mistakes = understood(message)
    if mistakes:
        raise Refused(f"{kept.entry} still cannot be understood: {mistakes[0]}")
    await _check_remembered(services, events, kept.entry)
    if not dry_run:
        await take(services, events, later=True)
        await services.messages.drop(kept)
        info(Action.RELEASED, digest=kept.digest, events=len(events))
    return len(events)


# --- what they share ----------------------------------------------------------------------------


async def _check_remembered(services: Services, events: Sequence[Event], entry: str) -> None:
    """Raise `Refused` if an event is so old that the ledger may have forgotten its job."""
    now = (await services.ledger.open_jobs()).now
    since = services.timing.remembered_since(now)
    for event in events:
        if isinstance(event, Ignored):
            continue
        when = event.renamed if isinstance(event, Renamed) else event.landed
        if when < since:
            raise Refused(
                f"{entry} is about {event.path}, which landed at {when}: the ledger may have"
                " forgotten whether it was scored; `ledger replay --again` scores it"
            )


_FOLLOWS = {
    State.PENDING: "it has ended, canceled",
    State.SUBMITTED: "the cancel of its batch job is requested; poll records its end",
    State.UNKNOWN: "it is canceled when its batch job is found, or its attempt is given up",
}


async def _open(services: Services, key: str) -> tuple[OpenJob, datetime]:
    listing = await services.ledger.open_jobs()
    entry = listing.of(key)
    if entry is not None:
        return entry, listing.now
    ended = await services.ledger.end(key) is not None
    raise Refused(f"job {key} has ended" if ended else f"the ledger has no job {key}")


async def _unknown(services: Services, key: str) -> tuple[OpenJob, Job, datetime]:
    entry, now = await _open(services, key)
    if entry.progress.state is not State.UNKNOWN:
        raise Refused(
            f"job {key} is {entry.progress.state}, not unknown: there is nothing to settle"
        )
    job = await services.ledger.job(key)
    if job is None:
        raise _changed(key)
    return entry, job, now


async def _batch_jobs(services: Services, entry: OpenJob, job: Job) -> tuple[BatchJob, ...]:
    endpoint = await services.workspace.endpoint(entry.progress.endpoint)
    listed = await services.endpoints.batch_jobs(endpoint) if endpoint else []
    return of_attempt(listed, job, entry.progress.attempt)


async def _cancel_surplus(services: Services, entry: OpenJob, job: Job, adopted: str) -> None:
    """Cancel other batch jobs of the attempt, as poll does: they have the same output."""
    try:
        found = await _batch_jobs(services, entry, job)
    except LandfallError as failure:
        warning(Action.SURPLUS_LEFT, job=job.key, error=str(failure))
        return
    for other in found:
        if other.name != adopted and not other.state.ended:
            await cancels.cancel_surplus(services.workspace, job.key, other.name)


async def _give_up(services: Services, entry: OpenJob, step: Save | Finish, now: datetime) -> None:
    # Saved first, also before an end: nothing is written if poll has changed the entry.
    progress = step.progress if isinstance(step, Save) else entry.progress
    current = await ledger_writes.save(services, entry, progress)
    if current is None:
        raise _changed(entry.key)
    warning(
        Action.LOST,
        job=entry.key,
        route=entry.progress.route,
        attempt=entry.progress.attempt,
        by="operator",
    )
    if isinstance(step, Finish):
        await finish_attempt(services, current, step.outcome, now)


async def _cancel(services: Services, entry: OpenJob, now: datetime) -> bool:
    """Cancel a job; False if its entry was changed in the meantime."""
    if entry.progress.state is State.PENDING:
        return await _end_before_submission(services, entry, now)
    progress = entry.progress
    if progress.cancel_asked is None:
        progress = _canceled(progress, progress.state, now)
        if await ledger_writes.save(services, entry, progress) is None:
            return False
    if progress.batch_job:
        await cancels.ask_for_cancel(services.workspace, entry.key, progress)
    return True


async def _end_before_submission(services: Services, entry: OpenJob, now: datetime) -> bool:
    job = await services.ledger.job(entry.key)
    if job is None:
        return False
    # Marked like this, no host submits it. If this process dies here, poll ends it, canceled, too.
    marked = _canceled(entry.progress, State.SUBMITTING, now)
    current = await ledger_writes.save(services, entry, marked)
    if current is None:
        return False
    await finish(services, current, job, canceled_in_time(), current.changed)
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
        raise Refused(f"{len(found)} kept messages begin with {digest!r}: give more of its name")
    if not found:
        raise Refused(f"there is no kept message whose digest begins with {digest!r}")
    return found[0]


def _changed(key: str) -> Refused:
    return Refused(f"job {key} has changed in the meantime: look at it again")
