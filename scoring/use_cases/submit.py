"""From a landing to a batch job.

    claim (create open/) ──► look in done/ ∥ look at the blob ──► POST ──► record the answer
           └── whatever fails before the POST: back to pending

The look in done/ follows the claim and never runs beside it: a duplicate event could look before,
and claim after, poll moved the job from open/ to done/, and the file would be scored twice.
"""

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

from scoring.errors import SetupError, Unavailable
from scoring.jobs.batch_job import Answer, BatchEndpoint, ErrorAnswer, NotSent, Submission
from scoring.jobs.blobs import Forbidden, Seen
from scoring.jobs.job import Job, attempt_tag, job_for
from scoring.jobs.outcome import Finish, Outcome, Status
from scoring.jobs.progress import OpenJob, Save, State
from scoring.jobs.submission import (
    Hold,
    Newer,
    Obstacle,
    after_answer,
    after_failure,
    before_submission,
)
from scoring.log import Action, describe, info, warning
from scoring.ports import Services, Workspace
from scoring.use_cases import ledger_writes
from scoring.use_cases.cooldown import cooldown_until
from scoring.use_cases.finish import announce, finish
from scoring.use_cases.folder_versions import Instead, obstacle_or_other, superseded_by
from scoring.use_cases.observe import look_at_input, with_files_seen, with_version_seen

HasRoom = Callable[[OpenJob], Awaitable[bool]]


class Probed(enum.Enum):
    """What an attempt brought to light about its endpoint."""

    ACCEPTS = enum.auto()
    """The next attempt may be sent, too."""
    REFUSES = enum.auto()
    """The endpoint, or the way to it, is in no state to accept one."""
    NOT_ASKED = enum.auto()
    """Nothing was sent."""


class Started(enum.Enum):
    """What became of a claim."""

    CLAIMED = enum.auto()
    OPEN = enum.auto()
    """The job was claimed before."""
    ENDED = enum.auto()
    """It has ended before."""


async def start(services: Services, job: Job, *, later: bool = False) -> Started:
    """Claim a job, unless it was claimed before, and submit it.

    Where its route may hold it back, and with `later`, it is left to poll to submit.
    """
    waits = later or job.route.submitted_by_poll
    since = services.clock()
    entry = await ledger_writes.claim(services, job, State.PENDING if waits else State.SUBMITTING)
    if entry is None:
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="open job")
        return Started.OPEN
    attempt = _Attempt(services, job, entry, since)
    async with attempt.sending_nothing():
        look = _nothing() if waits else look_at_input(services.storage, job, services.timing)
        end, seen = await asyncio.gather(services.ledger.end(job.key), look)
    if end is not None:
        # Its event is out: open/ is deleted only after publishing, and we could create it.
        info(Action.DUPLICATE, job=job.key, route=job.route.name, path=job.path, of="ended job")
        await services.ledger.forget(entry)
        return Started.ENDED
    info(
        Action.CLAIMED,
        job=job.key,
        route=job.route.name,
        path=job.path,
        state=entry.progress.state,
    )
    if seen is not None:
        await attempt.submit(seen)
    return Started.CLAIMED


async def _nothing() -> None:
    return None


async def resume(services: Services, listed: OpenJob, has_room: HasRoom, now: datetime) -> Probed:
    """Submit a pending job (edge e); tell what that says about its endpoint.

    `has_room` is asked once the job is marked. `now` is the time of the listing.
    """
    # These may be read before the claim: it fails if the entry has changed since it was listed.
    try:
        job, end = await asyncio.gather(
            services.ledger.job(listed.key), services.ledger.end(listed.key)
        )
    except Exception as failure:
        # What a newer version of the code wrote must not keep others from their place.
        step = after_failure(
            listed.progress, describe(failure), now, services.timing, refused=False
        )
        if isinstance(step, Save):
            await ledger_writes.save(services, listed, step.progress)
        raise
    if end is not None:
        await announce(services, listed, end, job)
        return Probed.NOT_ASKED
    since = services.clock()
    entry = await ledger_writes.save(services, listed, listed.progress.to(State.SUBMITTING))
    if job is None or entry is None:
        return Probed.NOT_ASKED  # another poll has it
    attempt = _Attempt(services, job, entry, since, has_room)
    if not await attempt.has_room():
        return Probed.NOT_ASKED
    async with attempt.sending_nothing():
        seen = await look_at_input(services.storage, job, services.timing)
    return await attempt.submit(seen)


async def _no_limit(_: OpenJob) -> bool:
    """Admit a job that on_landing submits: its route has no limit."""
    return True


class _Attempt:
    """The attempt in hand: a job, and its ledger entry as this host wrote it.

    `since` is when this host set out to write the entry, by its clock: the entry is never older.
    """

    def __init__(
        self,
        services: Services,
        job: Job,
        entry: OpenJob,
        since: float,
        has_room: HasRoom = _no_limit,
    ) -> None:
        self._services = services
        self._job = job
        self._entry = entry
        self._since = since
        self._has_room = has_room

    async def submit(self, seen: Seen) -> Probed:
        """POST the attempt, unless what was seen of its input keeps it from that."""
        services = self._services
        if isinstance(seen.trigger, Forbidden):
            job = self._job
            warning(Action.UNSEEN, job=job.key, route=job.route.name, path=job.landing.path)
        looked = self._entry.updated(held_since=None, look_refused=None)
        self._entry = with_version_seen(looked, self._job, seen, services.metadata_prefix)
        if not await self._is_ready(seen):
            return Probed.NOT_ASKED
        endpoint = await _endpoint(services.workspace, self._job)
        if not await self._may_post():
            return Probed.NOT_ASKED
        self._name_deployment(endpoint)
        answer = await self._post(endpoint)
        self._entry = with_files_seen(self._entry, self._job, seen)
        step = after_answer(self._entry, answer, self._now, services.timing)
        await self._carry_out(step)
        refused = isinstance(step, Save) and step.progress.state is State.PENDING
        return Probed.REFUSES if refused else Probed.ACCEPTS

    async def has_room(self) -> bool:
        """Tell whether the marked job is within its route's limit; else it is pending again."""
        async with self.sending_nothing():
            if await self._has_room(self._entry):
                return True
        await ledger_writes.save(
            self._services, self._entry, self._entry.progress.to(State.PENDING)
        )
        return False

    @contextlib.asynccontextmanager
    async def sending_nothing(self) -> AsyncIterator[None]:
        """Step the claim back to pending if what precedes the POST fails: nothing was sent.

        Refusals that have lasted for too long end the job.
        """
        try:
            yield
        except Exception as failure:
            refused = isinstance(failure, SetupError)
            await self._carry_out(
                after_failure(
                    self._entry.progress,
                    str(failure),
                    self._now,
                    self._services.timing,
                    refused=refused,
                )
            )
            raise

    async def _is_ready(self, seen: Seen) -> bool:
        """Leave the job out if its input demands that; a folder's is that of the files seen."""
        services, job = self._services, self._job
        async with self.sending_nothing():
            found = before_submission(
                job, seen, self._now, services.timing
            ) or await obstacle_or_other(services.ledger, job, seen, services.escaping)
        if isinstance(found, Instead):
            return await self._go_on_as(found.job)
        if found is not None:
            await self._leave_out(found)
        return found is None

    async def _go_on_as(self, other: Job) -> bool:
        """Claim another job of the folder, let it supersede this one, and go on with it."""
        services = self._services
        since = services.clock()
        async with self.sending_nothing():
            entry = await ledger_writes.claim(services, other, State.SUBMITTING)
            ended = entry is not None and await services.ledger.end(other.key) is not None
        if entry is None or ended:
            if entry is not None:
                await services.ledger.forget(entry)
            await self._leave_out(Hold("another host was faster"))
            return False
        info(
            Action.CLAIMED,
            job=other.key,
            route=other.route.name,
            path=other.path,
            state=entry.progress.state,
        )
        await self._end(superseded_by(other))
        self._job, self._entry, self._since = other, entry, since
        return await self.has_room()

    @property
    def _age(self) -> timedelta:
        return timedelta(seconds=self._services.clock() - self._since)

    @property
    def _now(self) -> datetime:
        """The storage's time, or a little later."""
        return self._entry.changed + self._age

    async def _hold(self, reason: str, until: datetime | None = None) -> None:
        """Step the claim back to pending until a time, which need not be known."""
        # Not at once: others that wait for a place on its route come first.
        later = until or self._entry.changed + self._services.timing.ask_at_most
        pending = self._entry.progress.to(State.PENDING, not_before=later)
        await self._record(Save(pending, Action.HELD, reason))

    async def _leave_out(self, obstacle: Obstacle) -> None:
        services, job = self._services, self._job
        if isinstance(obstacle, Hold):
            # So that it ranks as others that wait, and an older one of its folder comes first.
            held = self._entry.progress.held_since or self._now
            self._entry = self._entry.updated(held_since=held)
            await self._hold(obstacle.reason, obstacle.until)
            return
        if isinstance(obstacle, Newer):
            # The present version is claimed first: dying in between then loses nothing.
            await start(
                services, job_for(job.route, obstacle.landing, job.place, services.escaping)
            )
            message = f"overwritten before its turn; the version now is {obstacle.landing.etag}"
            obstacle = Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)
        await self._end(obstacle)

    async def _may_post(self) -> bool:
        """Start the folder's cooldown and renew an old claim; False: the attempt may not be sent."""
        while True:
            async with self.sending_nothing():
                until = await cooldown_until(self._services.folders, self._job, self._entry)
            if until is not None:
                await self._hold("minimum_gap", until)
                return False
            if self._age <= self._services.timing.post_starts_within:
                return True
            if not await self._renew():
                return False

    async def _renew(self) -> bool:
        """Write the claim once more; False: the job was given to another attempt meanwhile."""
        since = self._services.clock()
        renewed = await ledger_writes.save(self._services, self._entry, self._entry.progress)
        if renewed is None:
            return False
        self._entry, self._since = renewed, since
        return True

    def _name_deployment(self, endpoint: BatchEndpoint | NotSent | ErrorAnswer) -> None:
        # Named even if it is the default, so that the event can say for certain which one ran.
        known = endpoint.default_deployment if isinstance(endpoint, BatchEndpoint) else None
        self._entry = self._entry.updated(deployment=self._job.route.deployment or known or "")

    async def _post(self, endpoint: BatchEndpoint | NotSent | ErrorAnswer) -> Answer:
        if not isinstance(endpoint, BatchEndpoint):
            return endpoint
        job, progress = self._job, self._entry.progress
        submission = Submission(
            tag=attempt_tag(job.key, progress.attempt),
            deployment=progress.deployment or None,
            kind=job.route.input,
            input_uri=job.input_uri,
            output_uri=job.output_uri(progress.attempt),
            output_kind=job.route.output_kind,
            input_name=job.route.input_name,
            output_name=job.route.output_name,
            params=job.route.params,
            settings=job.route,
        )
        return await self._services.endpoints.submit(endpoint, submission)

    async def _carry_out(self, step: Save | Finish) -> None:
        if isinstance(step, Save):
            await self._record(step)
        else:
            await self._end(step.outcome)

    async def _record(self, step: Save) -> None:
        """Write the progress, and log the step."""
        progress = step.progress
        if step.action is not None:
            self._log(step.action, step)
        if progress.state is State.SUBMITTED:
            await ledger_writes.record(self._services, self._entry, progress)
        else:
            await ledger_writes.save(self._services, self._entry, progress)

    def _log(self, action: Action, step: Save) -> None:
        job, progress = self._job, step.progress
        submitted = progress.state is State.SUBMITTED
        log = info if submitted else warning
        log(
            action,
            job=job.key,
            route=job.route.name,
            path=job.path,
            attempt=progress.attempt,
            batch_job=progress.batch_job or None,
            output=(job.output_path(progress.attempt) or None) if submitted else None,
            reason=step.reason,
            until=progress.not_before.isoformat() if progress.not_before else None,
        )

    async def _end(self, outcome: Outcome) -> None:
        """End the job, unless it was given to another attempt while this host was frozen."""
        if await self._renew():
            await finish(self._services, self._entry, self._job, outcome, self._entry.changed)


async def _endpoint(workspace: Workspace, job: Job) -> BatchEndpoint | NotSent | ErrorAnswer:
    """Return a job's endpoint; what keeps us from sending it the job counts as its answer."""
    name = job.route.endpoint
    try:
        endpoint = await workspace.endpoint(name)
    except Unavailable as failure:
        return NotSent(message=str(failure))
    except SetupError as failure:
        return ErrorAnswer(status=403, message=str(failure))
    if endpoint is None:
        return ErrorAnswer(status=404, message=f"the workspace has no batch endpoint {name!r}")
    deployment = job.route.deployment or endpoint.default_deployment
    if deployment is None:
        message = (
            f"batch endpoint {name!r} has no default deployment: set one, or name one in the route"
        )
        return ErrorAnswer(status=404, message=message)
    problem = await workspace.deployment_problem(name, deployment)
    return ErrorAnswer(status=404, message=problem) if problem else endpoint
