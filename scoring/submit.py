"""From a landing to a batch job.

    claim (create open/) ──► look in done/ ∥ look at the blob ──► POST ──► write the answer down

The look in done/ follows the claim and never runs beside it: a duplicate event could look before,
and claim after, poll moved the job from open/ to done/, and the file would be scored twice.
"""

import asyncio
from datetime import datetime, timedelta

import msgspec

from scoring import writes
from scoring.decisions import (
    Newer,
    Outcome,
    Save,
    Seen,
    Status,
    after_answer,
    before_submission,
    folder_digest,
)
from scoring.errors import SetupError, Unavailable, UnreadableMessage
from scoring.finish import announce, finish, look_at_input
from scoring.job import Job, OpenJob, State, attempt_tag, job_for
from scoring.landing import Ignored, Landing, read_message
from scoring.log import Action, info, warning
from scoring.ports import (
    Answer,
    BatchEndpoint,
    Forbidden,
    NotSent,
    Refused,
    Services,
    Submission,
)


async def on_landing(services: Services, message: bytes) -> None:
    """Start a job for each landing that a queue message tells of and a route takes.

    One event that fails does not stop its neighbours in the message; the platform then delivers
    the message again, and what was claimed is recognised.

    Raises:
        UnreadableMessage: an event cannot be understood.
        Unavailable: the ledger, the storage or the workspace cannot be reached.
    """
    told = list(read_message(message))
    results = await asyncio.gather(*(_take(services, one) for one in told), return_exceptions=True)
    for failure in results:
        if failure is not None:
            raise failure


async def _take(services: Services, told: Landing | Ignored | UnreadableMessage) -> None:
    if isinstance(told, UnreadableMessage):
        warning(Action.UNREADABLE, reason=str(told))
        raise told
    if isinstance(told, Ignored):
        info(Action.IGNORED, path=told.path, reason=told.reason)
        return
    await land(services, told)


async def land(services: Services, landing: Landing) -> None:
    """Start a job for each route that takes a landing."""
    places = await services.workspace.places()
    reason: str | None = "no-route"
    jobs: list[Job] = []
    for route in services.routes:
        place = places.get(route.datastore)
        if place is None or (place.account, place.container) != (
            landing.account,
            landing.container,
        ):
            continue
        captures = route.triggered_by(landing.path)
        if captures is not None:
            jobs.append(job_for(route, landing, captures, place, services.escaping))
        elif route.holds(landing.path):
            info(Action.WAITING, path=landing.path, route=route.name, reason="marker")
            reason = None
    if not jobs and reason:
        info(Action.IGNORED, path=landing.path, container=landing.container, reason=reason)
    await asyncio.gather(*(start(services, job) for job in jobs))


async def start(services: Services, job: Job) -> None:
    """Claim a job that nobody has claimed, and submit it unless its route holds it back."""
    state = State.SUBMITTING if job.route.enabled else State.PENDING
    opened = await writes.claim(services, job, state)
    claimed = services.clock()
    if opened is None:
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="open job")
        return
    end, seen = await asyncio.gather(services.ledger.end(job.key), look_at_input(services, job))
    if end is not None:
        # Its event is out: open/ is deleted only after publishing, and we could create it.
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="ended job")
        await services.ledger.release(opened)
        return
    info(Action.CLAIMED, job=job.key, route=job.route.name, path=job.path, state=state)
    if state is State.SUBMITTING:
        await _attempt(services, opened, job, seen, claimed)


async def resume(services: Services, opened: OpenJob) -> bool:
    """Submit a pending job (edge e); tell whether the endpoint may take the next one, too."""
    mine = await writes.save(services, opened, opened.progress.to(State.SUBMITTING))
    claimed = services.clock()
    if mine is None:
        return True  # another poll has it
    job, end = await asyncio.gather(
        services.ledger.job(opened.key), services.ledger.end(opened.key)
    )
    if end is not None:
        await announce(services, mine, end)
    elif job is not None:
        seen = await look_at_input(services, job)
        return await _attempt(services, mine, job, seen, claimed)
    return True


async def _attempt(
    services: Services, opened: OpenJob, job: Job, seen: Seen, claimed: float
) -> bool:
    """POST an attempt that is claimed; tell whether the endpoint may take the next one."""
    now = opened.changed + timedelta(seconds=services.clock() - claimed)
    obstacle = before_submission(job, seen)
    if obstacle is not None:
        await _leave_out(services, opened, job, obstacle, now)
        return True
    if now - opened.changed > services.timing.post_starts_within:
        renewed = await writes.save(services, opened, opened.progress)
        if renewed is None:
            return True
        opened, claimed = renewed, services.clock()
    endpoint, answer = await _post(services, opened, job)
    opened = _with_what_was_seen(opened, job, seen, endpoint)
    now = opened.changed + timedelta(seconds=services.clock() - claimed)
    step = after_answer(opened, answer, now, services.timing)
    if isinstance(step, Save):
        await _write_down(services, opened, job, step)
        return step.progress.state is not State.PENDING
    await finish(services, opened, job, step.outcome, now)
    return True


async def _leave_out(
    services: Services, opened: OpenJob, job: Job, obstacle: Outcome | Newer, now: datetime
) -> None:
    if isinstance(obstacle, Newer):
        # The version that stands now is claimed first: dying in between then loses nothing.
        captures = job.route.triggered_by(obstacle.landing.path) or {}
        await start(
            services, job_for(job.route, obstacle.landing, captures, job.place, services.escaping)
        )
        message = f"overwritten before its turn; the version now is {obstacle.landing.etag}"
        obstacle = Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)
    await finish(services, opened, job, obstacle, now)


async def _post(
    services: Services, opened: OpenJob, job: Job
) -> tuple[BatchEndpoint | None, Answer]:
    """Return the endpoint and its answer; what keeps us from asking it counts as an answer."""
    try:
        endpoint = await services.workspace.endpoint(job.route.endpoint)
    except Unavailable as failure:
        return None, NotSent(message=str(failure))
    except SetupError as failure:
        return None, Refused(status=403, message=str(failure))
    if endpoint is None:
        message = f"the workspace has no batch endpoint {job.route.endpoint!r}"
        return None, Refused(status=404, message=message)
    attempt = opened.progress.attempt
    submission = Submission(
        tag=attempt_tag(job.key, attempt),
        # Named even if it is the default, so that the event can say for certain which one ran.
        deployment=job.route.deployment or endpoint.default_deployment,
        kind=job.route.input,
        input_uri=job.input_uri,
        output_uri=job.output_uri(attempt),
    )
    return endpoint, await services.endpoints.submit(endpoint, submission)


def _with_what_was_seen(
    opened: OpenJob, job: Job, seen: Seen, endpoint: BatchEndpoint | None
) -> OpenJob:
    deployment = job.route.deployment or (endpoint.default_deployment if endpoint else None)
    progress = msgspec.structs.replace(opened.progress, deployment=deployment or "")
    if job.route.input == "folder" and not isinstance(seen.files, Forbidden):
        progress = msgspec.structs.replace(
            progress,
            folder_digest=folder_digest(seen.files),
            files=len(seen.files),
            size=sum(file.size for file in seen.files),
        )
    return msgspec.structs.replace(opened, progress=progress)


async def _write_down(services: Services, opened: OpenJob, job: Job, step: Save) -> None:
    progress = step.progress
    if step.action is not None:
        taken = progress.state is State.SUBMITTED
        say = info if taken else warning
        say(
            step.action,
            job=job.key,
            route=job.route.name,
            path=job.path,
            attempt=progress.attempt,
            batch_job=progress.batch_job or None,
            output=job.output_path(progress.attempt) if taken else None,
            reason=step.reason,
        )
    if progress.state is State.SUBMITTED:
        await writes.record(services, opened, progress)
    else:
        await writes.save(services, opened, progress)
