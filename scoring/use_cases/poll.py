"""Poll: looks at what is open and does the next step of each job.

Level-triggered: a missed tick, a doubled one or two at once harm nothing. A tick that runs out
of its time leaves the place it came to, and the next one goes on from there.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from scoring.concurrency import run_workers
from scoring.errors import LandfallError, SetupError
from scoring.jobs.batch_job import BatchJob, of_attempt
from scoring.jobs.marks import PollMark
from scoring.jobs.next_step import (
    Adopt,
    Announce,
    Ask,
    AskWorkspace,
    Cancel,
    FindEnd,
    Found,
    Look,
    LookAtOutput,
    NoEnd,
    NoListing,
    NotInWorkspace,
    NotKnown,
    OutputFound,
    Question,
    Report,
    Step,
    Submit,
    Tick,
    next_step,
)
from scoring.jobs.outcome import Finish
from scoring.jobs.progress import OpenJob, OpenJobs, Save
from scoring.log import Action, describe, error, info, warning
from scoring.ports import Services
from scoring.use_cases import cancels, ledger_writes
from scoring.use_cases.admission import Admission
from scoring.use_cases.finish import announce, finish_attempt
from scoring.use_cases.observe import look_at_output
from scoring.use_cases.quiet_folders import gather
from scoring.use_cases.submit import Probed, resume

JOBS_AT_ONCE = 32  # that one tick works on


async def poll(services: Services) -> None:
    """Run one tick.

    Raises:
        Unavailable, SetupError: the ledger cannot be reached, or refuses.
    """
    began = services.clock()
    await gather(services)
    mark = await services.marks.poll_mark()
    listing = await services.ledger.open_jobs(start=mark.cursor, within=services.timing.listing)
    if not listing.whole:
        warning(Action.POLL_CUT, reason="the listing takes too long", jobs=len(listing.jobs))
    for key in listing.unreadable:
        error(Action.JOB_ERROR, job=key, error="the ledger entry is no job; mend or delete it")
    admission = Admission(services, listing)
    tick = Tick(now=listing.now, last=mark.finished, waiting=admission.waiting)
    jobs = [job for job in listing.jobs if job.key >= mark.cursor]
    left = await _work_through(_Pass(services, tick, admission), sorted(jobs, key=_order), began)
    await services.marks.leave_poll_mark(_next_mark(mark, listing, left))


def _order(job: OpenJob) -> tuple[bool, str]:
    """Sort jobs by key, those that their input kept from their submission behind all others."""
    return job.progress.held_since is not None, job.key


def _next_mark(mark: PollMark, listing: OpenJobs, left: Sequence[OpenJob]) -> PollMark:
    began = mark.began or listing.now
    # What is due again at the next tick anyway needs no place to go on from.
    not_begun = [job.key for job in left if job.progress.held_since is None]
    cursor = min([*not_begun, *filter(None, [listing.missing_from])], default="")
    if cursor:
        return msgspec.structs.replace(mark, heartbeat=listing.now, began=began, cursor=cursor)
    return msgspec.structs.replace(
        mark, heartbeat=listing.now, finished=began, began=None, cursor=""
    )


async def _work_through(
    one_pass: "_Pass", jobs: Sequence[OpenJob], began: float
) -> Sequence[OpenJob]:
    """Advance all jobs; return those that were not begun when time ran out.

    One whose step never ends must not keep the pass from going on, so what was begun counts.
    The tick began at `began`, by the clock. At least one round is begun, however late it is.
    """
    timing, clock = one_pass.services.timing, one_pass.services.clock
    last_begin = began + timing.deadline.total_seconds()
    waiting = iter(jobs)

    async def worker() -> None:
        while (job := next(waiting, None)) is not None:
            await one_pass.advance(job)
            if clock() >= last_begin:
                return

    try:
        async with asyncio.timeout(timing.cut.total_seconds() - (clock() - began)):
            await run_workers(worker, min(JOBS_AT_ONCE, len(jobs)))
    except TimeoutError:
        warning(Action.POLL_CUT, reason="a job's step took too long")
    left = list(waiting)
    if left:
        warning(Action.POLL_CUT, job=left[0].key, jobs=len(left))
    return left


class _Probe:
    """What this tick knows of an endpoint: until it knows more, one attempt at a time is made."""

    def __init__(self) -> None:
        self.known = Probed.NOT_ASKED
        self.under_way: asyncio.Future[None] | None = None


class _Pass:
    """What the jobs of one tick share: a listing for each endpoint, and who probes it."""

    def __init__(self, services: Services, tick: Tick, admission: Admission) -> None:
        self.services = services
        self._tick = tick
        self._admission = admission
        self._listings: dict[str, asyncio.Task[list[BatchJob]]] = {}
        self._probes: defaultdict[str, _Probe] = defaultdict(_Probe)

    async def advance(self, entry: OpenJob) -> None:
        """Do the next step of a job. Its error is logged and does not stop the others."""
        try:
            await self._advance(entry)
        except Exception as failure:  # noqa: BLE001
            self._log_error(entry, failure)

    def _log_error(self, entry: OpenJob, failure: Exception) -> None:
        state, what = entry.progress.state, describe(failure)
        warning(Action.JOB_ERROR, job=entry.key, state=state, error=what)

    async def _advance(self, entry: OpenJob) -> None:
        report: Report | None = None
        while True:
            step = next_step(entry, report, self._tick, self.services.timing)
            report = await self._carry_out(entry, step)
            if report is None:
                return

    async def _carry_out(self, entry: OpenJob, step: Step) -> Report | None:
        """Do a step; return what it brought to light, or None if it was the last of this tick."""
        match step:
            case FindEnd() | Look() | Ask() | AskWorkspace() | LookAtOutput():
                return await self._find_out(entry, step)
            case Submit():
                await self._submit(entry)
            case Announce():
                await self._announce(entry)
            case Save():
                await self._save(entry, step)
            case Adopt():
                await self._adopt(entry, step)
            case Cancel():
                await self._cancel(entry, step)
            case Finish():
                await self._finish(entry, step)
        return None

    async def _find_out(self, entry: OpenJob, question: Question) -> Report | None:
        """Ask a service; None: the job has ended."""
        match question:
            case FindEnd():
                return await self._find_end(entry)
            case Look():
                return await self._look(entry)
            case Ask():
                return await self._ask(entry)
            case AskWorkspace():
                return await self._ask_workspace(entry)
            case LookAtOutput():
                return await self._look_at_output(entry, question)

    async def _find_end(self, entry: OpenJob) -> NoEnd | None:
        event = await self.services.ledger.end(entry.key)
        if event is None:
            return NoEnd()
        await announce(self.services, entry, event)
        return None

    async def _announce(self, entry: OpenJob) -> None:
        if await self._find_end(entry):
            raise SetupError("its end is gone from done/: delete the entry in open/")

    async def _finish(self, entry: OpenJob, step: Finish) -> None:
        again = await finish_attempt(self.services, entry, step.outcome, self._tick.now)
        if again is not None:
            await self._save(entry, again)

    async def _ask(self, entry: OpenJob) -> BatchJob | NotKnown:
        endpoint = await self.services.workspace.endpoint(entry.progress.endpoint)
        if endpoint is None:
            return NotKnown()
        name = entry.progress.batch_job
        return await self.services.endpoints.batch_job(endpoint, name) or NotKnown()

    async def _ask_workspace(self, entry: OpenJob) -> BatchJob | NotInWorkspace:
        """Ask the workspace for a batch job; where it refuses for long enough, it counts as gone."""
        gone_since = entry.progress.gone_since or self._tick.now
        try:
            known = await self.services.workspace.batch_job(entry.progress.batch_job)
        except SetupError:
            if self._tick.now - gone_since < self.services.timing.refusal_patience:
                raise
            known = None
        return known or NotInWorkspace()

    async def _look_at_output(self, entry: OpenJob, step: LookAtOutput) -> OutputFound | None:
        job = await self.services.ledger.job(entry.key)
        if job is None:
            return None
        services, attempt = self.services, entry.progress.attempt
        output = await look_at_output(services.storage, job, attempt, services.timing)
        return OutputFound(output=output, listed=step.listed)

    async def _look(self, entry: OpenJob) -> Found | NoListing | None:
        job = await self.services.ledger.job(entry.key)
        if job is None:
            return None
        try:
            listed = await self._listing(entry)
        except LandfallError as failure:
            self._log_error(entry, failure)
            return NoListing()
        return Found(of_attempt(listed, job, entry.progress.attempt))

    async def _listing(self, entry: OpenJob) -> list[BatchJob]:
        endpoint = await self.services.workspace.endpoint(entry.progress.endpoint)
        if endpoint is None:
            return []  # its batch jobs went with it
        if endpoint.scoring_uri not in self._listings:
            listing = self.services.endpoints.batch_jobs(endpoint)
            self._listings[endpoint.scoring_uri] = asyncio.ensure_future(listing)
        return await self._listings[endpoint.scoring_uri]

    async def _submit(self, entry: OpenJob) -> None:
        """Submit a pending job, unless the endpoint refuses in this tick.

        What fails before the POST says nothing about the endpoint: the next job is the probe then.
        """
        probe = self._probes[entry.progress.endpoint]
        while probe.known is Probed.NOT_ASKED:
            if probe.under_way is None:
                await self._probe(probe, entry)
                return
            await asyncio.shield(probe.under_way)
        if probe.known is Probed.ACCEPTS:
            await self._resume(entry)

    async def _probe(self, probe: _Probe, entry: OpenJob) -> None:
        probe.under_way = ended = asyncio.get_running_loop().create_future()
        try:
            probe.known = await self._resume(entry)
        finally:
            probe.under_way = None
            ended.set_result(None)

    async def _resume(self, entry: OpenJob) -> Probed:
        return await resume(self.services, entry, self._admission.has_room, self._tick.now)

    async def _save(self, entry: OpenJob, step: Save) -> None:
        saved = await ledger_writes.save(self.services, entry, step.progress)
        if saved is not None and step.action is not None:
            warning(
                step.action,
                job=entry.key,
                route=entry.progress.route,
                attempt=entry.progress.attempt,
                reason=step.reason,
            )

    async def _adopt(self, entry: OpenJob, step: Adopt) -> None:
        if await ledger_writes.save(self.services, entry, step.progress) is None:
            return
        info(
            Action.ADOPTED,
            job=entry.key,
            route=entry.progress.route,
            batch_job=step.progress.batch_job,
        )
        for other in step.surplus:
            await cancels.cancel_surplus(self.services.workspace, entry.key, other.name)

    async def _cancel(self, entry: OpenJob, step: Cancel) -> None:
        """Ask for the cancel of a batch job; if that fails, the next question does it again."""
        progress = step.progress or entry.progress
        if step.progress and await ledger_writes.save(self.services, entry, progress) is None:
            return
        await cancels.ask_for_cancel(self.services.workspace, entry.key, progress)
