"""The end of a job: written once, then published, then forgotten.

    create done/ ──► [receipt] ──► publish ──► delete open/
         │               └────────────┴─ away: mark open/ `ended`; the next tick goes on here
         └─ another one was first: go on with what that one wrote

Dying between any two of these leaves open/ behind, and poll goes on: it finds done/, leaves the
same receipt and publishes the same bytes.
"""

import asyncio
from datetime import datetime

from scoring.errors import SetupError, Unavailable
from scoring.events.completion import completion_event, receipt, summary
from scoring.jobs.batch_job import BatchJob, of_attempt
from scoring.jobs.job import Job
from scoring.jobs.outcome import Outcome, Status, another_attempt, overwritten, verdict
from scoring.jobs.progress import OpenJob, Save, State
from scoring.log import Action, error, info, warning
from scoring.ports import Services
from scoring.use_cases import cancels, ledger_writes
from scoring.use_cases.observe import look_at_input, look_at_output, with_correlation


async def finish_attempt(
    services: Services, opened: OpenJob, outcome: Outcome, now: datetime
) -> Save | None:
    """End the job of an attempt that has ended, or return the step to another attempt."""
    job = await services.ledger.job(opened.key)
    if job is None:
        return None  # another poll was faster
    output, seen = await asyncio.gather(
        look_at_output(services, opened, job, outcome), look_at_input(services, job)
    )
    if not opened.progress.correlation:  # else it is known since the submission
        opened = with_correlation(services, opened, job, seen)
    if job.route.output_kind != "none":
        outcome = verdict(outcome, opened.progress, output)
    again = another_attempt(job, opened.progress, outcome)
    if again is None:
        changed = overwritten(job, opened.progress, seen)
        await finish(services, opened, job, outcome, now, changed=changed)
    return again


async def finish(
    services: Services,
    opened: OpenJob,
    job: Job,
    outcome: Outcome,
    now: datetime,
    *,
    changed: bool | None = None,
) -> None:
    """End a job: write its end, publish the event, forget the job."""
    event = completion_event(
        job=job,
        progress=opened.progress,
        outcome=outcome,
        overwritten=changed,
        ended=now,
        source=services.source,
        version=services.version,
    )
    stands = await services.ledger.conclude(job.key, event)
    if stands == event:
        _log_end(job, opened, outcome)
    await announce(services, opened, stands, job)
    cut_short = outcome.status in (Status.TIMED_OUT, Status.CANCELED)
    if cut_short and opened.progress.batch_job and not _has_ended(outcome.batch_job):
        # Nobody has seen it end: perhaps its cancel never arrived.
        await cancels.cancel_surplus(services, job.key, opened.progress.batch_job)
    await _cancel_found_again(services, opened, job)


async def announce(
    services: Services, opened: OpenJob, event: bytes, job: Job | None = None
) -> None:
    """Publish the event of a job that has ended, and forget the job.

    Its receipt comes first. The job is read for that, unless it is given.
    """
    try:
        if opened.progress.receipt:
            await _leave_receipt(services, opened, event, job)
        await services.publisher.publish(event)
    except (Unavailable, SetupError) as failure:
        warning(Action.NOT_ANNOUNCED, **summary(event), error=str(failure))
        if opened.progress.state is not State.ENDED:
            await ledger_writes.save(services, opened, opened.progress.to(State.ENDED))
        return
    info(Action.ANNOUNCED, **summary(event))
    await services.ledger.forget(opened)


async def _leave_receipt(
    services: Services, opened: OpenJob, event: bytes, job: Job | None
) -> None:
    """Write the receipt. A role that is missing must not hold back the event."""
    job = job or await services.ledger.job(opened.key)
    if job is None:
        return  # another poll was faster
    attempt, content = receipt(event)
    path = job.receipt_path(attempt)
    try:
        await services.storage.leave(job.place, path, content)
    except SetupError as refusal:
        warning(Action.NO_RECEIPT, job=job.key, path=path, error=str(refusal))


async def _cancel_found_again(services: Services, opened: OpenJob, job: Job) -> None:
    """Look once more for the batch jobs of lost attempts, and cancel them."""
    if not opened.progress.lost_attempts:
        return
    try:
        endpoint = await services.workspace.endpoint(job.route.endpoint)
        listed = await services.endpoints.batch_jobs(endpoint) if endpoint else []
    except Exception as failure:  # noqa: BLE001 - the job has ended all the same
        warning(Action.SURPLUS_LEFT, job=job.key, error=str(failure))
        return
    for attempt in opened.progress.lost_attempts:
        for batch_job in of_attempt(listed, job, attempt):
            await cancels.cancel_surplus(services, job.key, batch_job.name)


def _has_ended(batch_job: BatchJob | None) -> bool:
    return batch_job is not None and batch_job.state.ended


def _log_end(job: Job, opened: OpenJob, outcome: Outcome) -> None:
    unseen = outcome.output is None and job.route.output_kind != "none"
    say = error if outcome.status in (Status.FAILED, Status.TIMED_OUT) else info
    say(
        Action(outcome.status),
        job=job.key,
        route=job.route.name,
        path=job.path,
        batch_job=opened.progress.batch_job or None,
        attempt=opened.progress.attempt,
        output=job.output_path(opened.progress.attempt) if outcome.output else None,
        verified="no" if unseen and outcome.status is Status.COMPLETED else None,
        reason=outcome.code or None,
        message=outcome.message or None,
    )
