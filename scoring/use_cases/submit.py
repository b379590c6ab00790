"""From a landing to a batch job.

    claim (create open/) ──► look in done/ ∥ look at the blob ──► POST ──► write the answer down
           └── whatever fails before the POST: back to pending

The look in done/ follows the claim and never runs beside it: a duplicate event could look before,
and claim after, poll moved the job from open/ to done/, and the file would be scored twice.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from scoring.errors import SetupError, Unavailable
from scoring.jobs.batch_job import Answer, BatchEndpoint, ErrorAnswer, NotSent, Submission
from scoring.jobs.blobs import Forbidden, Seen
from scoring.jobs.job import Job, attempt_tag, job_for
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import OpenJob, Save, State
from scoring.jobs.submission import Copying, Newer, after_answer, before_submission
from scoring.log import Action, info, warning
from scoring.ports import Services
from scoring.use_cases import ledger_writes
from scoring.use_cases.cooldown import cooldown_until, overtaken
from scoring.use_cases.finish import announce, finish
from scoring.use_cases.observe import look_at_input, with_files_seen, with_version_seen


async def start(services: Services, job: Job, *, later: bool = False) -> bool:
    """Claim a job and submit it; False: it was claimed before, and may have ended.

    Where its route may hold it back, and with `later`, it is left to poll to submit.
    """
    waits = later or job.route.submitted_by_poll
    since = services.clock()
    opened = await ledger_writes.claim(services, job, State.PENDING if waits else State.SUBMITTING)
    if opened is None:
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="open job")
        return False
    async with _sending_nothing(services, opened, job):
        look = _nothing() if waits else look_at_input(services, job)
        end, seen = await asyncio.gather(services.ledger.end(job.key), look)
    if end is not None:
        # Its event is out: open/ is deleted only after publishing, and we could create it.
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="ended job")
        await services.ledger.forget(opened)
        return False
    state = opened.progress.state
    info(Action.CLAIMED, job=job.key, route=job.route.name, path=job.path, state=state)
    if seen is not None:
        await _attempt(services, _Claim(opened, since), job, seen)
    return True


async def _nothing() -> None:
    return None


async def resume(
    services: Services, opened: OpenJob, has_room: Callable[[OpenJob], Awaitable[bool]]
) -> bool:
    """Submit a pending job (edge e); tell whether the endpoint may take the next one, too.

    `has_room` is asked once the job is marked.
    """
    # These may be read before the claim: it fails if the entry has changed since it was listed.
    job, end = await asyncio.gather(
        services.ledger.job(opened.key), services.ledger.end(opened.key)
    )
    if end is not None:
        await announce(services, opened, end, job)
        return True
    since = services.clock()
    mine = await ledger_writes.save(services, opened, opened.progress.to(State.SUBMITTING))
    if job is None or mine is None:
        return True  # another poll has it
    async with _sending_nothing(services, mine, job):
        if not await has_room(mine):
            await ledger_writes.save(services, mine, mine.progress.to(State.PENDING))
            return True
        seen = await look_at_input(services, job)
    return await _attempt(services, _Claim(mine, since), job, seen)


@contextlib.asynccontextmanager
async def _sending_nothing(services: Services, opened: OpenJob, job: Job) -> AsyncIterator[None]:
    """Step a claim back to pending if what precedes its POST fails: nothing was sent."""
    try:
        yield
    except Exception as failure:
        await _hold(services, opened, job, str(failure))
        raise


async def _hold(
    services: Services, opened: OpenJob, job: Job, reason: str, until: datetime | None = None
) -> None:
    """Step a claim back to pending until a time, which need not be known."""
    # Not at once, or it would keep those that wait for its route's limit from their turn.
    later = until or opened.changed + services.timing.ask_at_most
    wait = opened.progress.to(State.PENDING, not_before=later)
    await _write_down(services, opened, job, Save(wait, Action.HELD, reason))


class _Claim(msgspec.Struct, frozen=True):
    """An entry that this host wrote, and when it set out to: it is never older than that."""

    opened: OpenJob
    since: float  # of the services' clock

    def age(self, services: Services) -> timedelta:
        return timedelta(seconds=services.clock() - self.since)

    def now(self, services: Services) -> datetime:
        """Return the storage's time, or a little later."""
        return self.opened.changed + self.age(services)


async def _attempt(services: Services, claim: _Claim, job: Job, seen: Seen) -> bool:
    """POST an attempt that is claimed; tell whether the endpoint may take the next one."""
    if isinstance(seen.trigger, Forbidden):
        warning(Action.UNSEEN, job=job.key, route=job.route.name, path=job.landing.path)
    claim = _Claim(with_version_seen(services, claim.opened, job, seen), claim.since)
    async with _sending_nothing(services, claim.opened, job):
        obstacle = before_submission(job, seen) or await overtaken(services, job, seen)
    if obstacle is not None:
        await _leave_out(services, claim, job, obstacle)
        return True
    endpoint = await _endpoint(services, job)
    fresh = await _fresh_with_its_turn(services, claim, job)
    if fresh is None:
        return True
    opened = _with_deployment(fresh.opened, job, endpoint)
    answer = await _post(services, endpoint, opened, job)
    opened = with_files_seen(opened, job, seen)
    step = after_answer(opened, answer, fresh.now(services), services.timing)
    if isinstance(step, Save):
        await _write_down(services, opened, job, step)
        return step.progress.state is not State.PENDING
    await _finish_if_ours(services, _Claim(opened, fresh.since), job, step.outcome)
    return True


async def _fresh_with_its_turn(services: Services, claim: _Claim, job: Job) -> _Claim | None:
    """Return a claim that may be POSTed at once, its turn written down; None: not now."""
    while True:
        opened = claim.opened
        async with _sending_nothing(services, opened, job):
            wait_until = await cooldown_until(services, job, opened)
        if wait_until is not None:
            await _hold(services, opened, job, "minimum_gap", wait_until)
            return None
        if claim.age(services) <= services.timing.post_starts_within:
            return claim
        since = services.clock()
        renewed = await ledger_writes.save(services, opened, opened.progress)
        if renewed is None:
            return None  # it was given to another attempt
        claim = _Claim(renewed, since)


async def _finish_if_ours(services: Services, claim: _Claim, job: Job, outcome: Outcome) -> None:
    """End a job, unless it was given to another attempt while this host was frozen."""
    mine = await ledger_writes.save(services, claim.opened, claim.opened.progress)
    if mine is not None:
        await finish(services, mine, job, outcome, mine.changed)


async def _leave_out(
    services: Services, claim: _Claim, job: Job, obstacle: Outcome | Newer | Copying
) -> None:
    if isinstance(obstacle, Copying):
        await _hold(services, claim.opened, job, "copying")
        return
    if isinstance(obstacle, Newer):
        # The version that stands now is claimed first: dying in between then loses nothing.
        await start(services, job_for(job.route, obstacle.landing, job.place, services.escaping))
        message = f"overwritten before its turn; the version now is {obstacle.landing.etag}"
        obstacle = Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)
    await _finish_if_ours(services, claim, job, obstacle)


async def _endpoint(services: Services, job: Job) -> BatchEndpoint | NotSent | ErrorAnswer:
    """Return the job's endpoint; what keeps us from asking it counts as its answer."""
    try:
        endpoint = await services.workspace.endpoint(job.route.endpoint)
    except Unavailable as failure:
        return NotSent(message=str(failure))
    except SetupError as failure:
        return ErrorAnswer(status=403, message=str(failure))
    if endpoint is None:
        message = f"the workspace has no batch endpoint {job.route.endpoint!r}"
        return ErrorAnswer(status=404, message=message)
    return endpoint


async def _post(
    services: Services, endpoint: BatchEndpoint | NotSent | ErrorAnswer, opened: OpenJob, job: Job
) -> Answer:
    if not isinstance(endpoint, BatchEndpoint):
        return endpoint
    attempt = opened.progress.attempt
    submission = Submission(
        tag=attempt_tag(job.key, attempt),
        deployment=opened.progress.deployment or None,
        kind=job.route.input,
        input_uri=job.input_uri,
        output_uri=job.output_uri(attempt),
        output_kind=job.route.output_kind,
        input_name=job.route.input_name,
        output_name=job.route.output_name,
        params=job.route.params,
        settings=job.route,
    )
    return await services.endpoints.submit(endpoint, submission)


def _with_deployment(
    opened: OpenJob, job: Job, endpoint: BatchEndpoint | NotSent | ErrorAnswer
) -> OpenJob:
    # Named even if it is the default, so that the event can say for certain which one ran.
    known = endpoint.default_deployment if isinstance(endpoint, BatchEndpoint) else None
    deployment = job.route.deployment or known or ""
    progress = msgspec.structs.replace(opened.progress, deployment=deployment)
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
            output=(job.output_path(progress.attempt) or None) if taken else None,
            reason=step.reason,
            until=progress.not_before.isoformat() if progress.not_before else None,
        )
    if progress.state is State.SUBMITTED:
        await ledger_writes.record(services, opened, progress)
    else:
        await ledger_writes.save(services, opened, progress)
