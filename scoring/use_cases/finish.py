"""The end of a job: written once, then published, then forgotten.

    create done/ ──► [receipt] ──► publish ──► delete open/
         │               └────────────┴─ away: mark open/ `ended`; the next tick goes on here
         └─ another host was first: go on with what that one wrote

Dying between any two of these leaves open/ behind, and poll goes on: it finds done/, leaves the
same receipt and publishes the same bytes.
"""

import asyncio
from datetime import datetime

import msgspec

from scoring.errors import SetupError, Unavailable
from scoring.events.completion import completion_event, receipt, summary
from scoring.jobs.batch_job import BatchJob, of_attempt
from scoring.jobs.blobs import Blob, Forbidden, Seen, Unreadable
from scoring.jobs.job import Job
from scoring.jobs.outcome import Outcome, Status, another_attempt, overwritten, verdict
from scoring.jobs.progress import OpenJob, Save, State
from scoring.log import Action, error, info, warning
from scoring.ports import LandingStorage, Services
from scoring.use_cases import cancels, ledger_writes
from scoring.use_cases.observe import look_at_input, look_at_output, with_correlation


async def finish_attempt(
    services: Services, entry: OpenJob, outcome: Outcome, now: datetime
) -> Save | None:
    """End the job of an attempt that has ended, or return the step to another attempt."""
    job = await services.ledger.job(entry.key)
    if job is None:
        return None  # another poll was faster
    try:
        output, seen = await _look(services, entry, job, outcome)
    except SetupError as refusal:
        since = entry.progress.look_refused
        if since is None:
            waiting = msgspec.structs.replace(entry.progress, look_refused=now)
            return Save(waiting, Action.HELD, str(refusal))
        if now - since < services.timing.refusal_patience:
            raise
        output, seen = Forbidden(), Seen(trigger=Forbidden(), files=Forbidden())
    if not entry.progress.correlation:  # else it is known since the submission
        entry = with_correlation(entry, job, seen, services.metadata_prefix)
    if job.route.output_kind != "none":
        outcome = verdict(outcome, entry.progress, output)
    again = another_attempt(job, entry.progress, outcome)
    if again is None:
        changed = overwritten(job, entry.progress, seen)
        await finish(services, entry, job, outcome, now, changed=changed)
    return again


async def _look(
    services: Services, entry: OpenJob, job: Job, outcome: Outcome
) -> tuple[Blob | Forbidden | Unreadable | None, Seen]:
    """Look at what the attempt left, if it completed, and at its input."""
    completed = outcome.status is Status.COMPLETED
    storage, attempt, timing = services.storage, entry.progress.attempt, services.timing
    look = look_at_output(storage, job, attempt, timing) if completed else _nothing()
    return await asyncio.gather(look, look_at_input(storage, job, timing))


async def _nothing() -> None:
    return None


async def finish(
    services: Services,
    entry: OpenJob,
    job: Job,
    outcome: Outcome,
    now: datetime,
    *,
    changed: bool | None = None,
) -> None:
    """Write the end of a job, publish its event, forget the job.

    `changed` is whether the input was overwritten while the job ran; None: not known.
    """
    event = completion_event(
        job=job,
        progress=entry.progress,
        outcome=outcome,
        overwritten=changed,
        ended=now,
        source=services.source,
        version=services.version,
    )
    written = await services.ledger.conclude(job.key, event)
    if written == event:
        _log_end(job, entry, outcome)
    await announce(services, entry, written, job)
    cut_short = outcome.status in (Status.TIMED_OUT, Status.CANCELED)
    if cut_short and entry.progress.batch_job and not _has_ended(outcome.batch_job):
        # Nobody has seen it end: perhaps its cancel never arrived.
        await cancels.cancel_surplus(services.workspace, job.key, entry.progress.batch_job)
    await _cancel_found_again(services, entry, job)


async def announce(
    services: Services, entry: OpenJob, event: bytes, job: Job | None = None
) -> None:
    """Leave the receipt of a job that has ended, publish its event, forget the job.

    The job is read for the receipt, unless it is given.
    """
    try:
        if entry.progress.receipt:
            job = job or await services.ledger.job(entry.key)
            await _leave_receipt(services.storage, job, event)
        await services.publisher.publish(event)
    except (Unavailable, SetupError) as failure:
        warning(Action.NOT_ANNOUNCED, **summary(event), error=str(failure))
        if entry.progress.state is not State.ENDED:
            await ledger_writes.save(services, entry, entry.progress.to(State.ENDED))
        return
    info(Action.ANNOUNCED, **summary(event))
    await services.ledger.forget(entry)


async def _leave_receipt(storage: LandingStorage, job: Job | None, event: bytes) -> None:
    """Write the receipt. A missing role must not hold back the event."""
    if job is None:
        return  # another poll was faster
    attempt, content = receipt(event)
    path = job.receipt_path(attempt)
    try:
        await storage.leave(job.place, path, content)
    except SetupError as refusal:
        warning(Action.NO_RECEIPT, job=job.key, path=path, error=str(refusal))


async def _cancel_found_again(services: Services, entry: OpenJob, job: Job) -> None:
    """Look once more for the batch jobs of lost attempts, and cancel them."""
    if not entry.progress.lost_attempts:
        return
    try:
        endpoint = await services.workspace.endpoint(job.route.endpoint)
        listed = await services.endpoints.batch_jobs(endpoint) if endpoint else []
    except Exception as failure:  # noqa: BLE001 - the job has ended all the same
        warning(Action.SURPLUS_LEFT, job=job.key, error=str(failure))
        return
    for attempt in entry.progress.lost_attempts:
        for batch_job in of_attempt(listed, job, attempt):
            await cancels.cancel_surplus(services.workspace, job.key, batch_job.name)


def _has_ended(batch_job: BatchJob | None) -> bool:
    return batch_job is not None and batch_job.state.ended


def _log_end(job: Job, entry: OpenJob, outcome: Outcome) -> None:
    unseen = outcome.output is None and job.route.output_kind != "none"
    log = error if outcome.status in (Status.FAILED, Status.TIMED_OUT) else info
    log(
        Action(outcome.status),
        job=job.key,
        route=job.route.name,
        path=job.path,
        batch_job=entry.progress.batch_job or None,
        attempt=entry.progress.attempt,
        output=job.output_path(entry.progress.attempt) if outcome.output else None,
        verified="no" if unseen and outcome.status is Status.COMPLETED else None,
        reason=outcome.code or None,
        message=outcome.message or None,
    )
