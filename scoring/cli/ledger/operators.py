"""What operators do to jobs by hand, beside a service that goes on working: safe at any moment.

Each step is the service's own: it claims, saves and ends as poll and on_landing do, so a step that
comes too late changes nothing and says so.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from scoring import writes
from scoring.batch_jobs import BatchJob
from scoring.blobs import Blob, Forbidden
from scoring.cli.failures import Refused
from scoring.decisions import Finish, Save, of_attempt
from scoring.errors import LandfallError
from scoring.filling import gathered
from scoring.finish import finish, finish_attempt
from scoring.job import Folder, Job, Place, again, folder_of, job_for
from scoring.landing import Ignored, Renamed
from scoring.landings import Event, take, understood
from scoring.log import Action, info, warning
from scoring.next_step import after_loss, canceled_in_time
from scoring.ports import Kept, Services, Shelf
from scoring.progress import BY_OPERATOR, OpenJob, Progress, State
from scoring.route import Route
from scoring.submit import start

_TRIES = 3  # while poll changes what is looked at

What = Literal["claimed", "open", "ended", "again", "asked-before", "filling", "young", "forbidden"]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one input that is to be scored again.

    `claimed`: nobody had; `open`: it is being scored; `ended`: it was, and `again` was not asked
    for; `again`: it gets a job of its own; `asked-before`: the same request made one already;
    `filling`: the folder's job comes when it is quiet; `young`: its content may be on the way, and
    its event or the sweep will see to it.
    """

    route: str
    path: str
    job: str  # key; empty for a folder that is filling
    what: What


class Replay:
    """Scores again what lies in storage: as the sweep does, but whatever the watermark says.

    What has ended, or landed so long ago that the ledger would not know, is scored again only with
    a request: a name that makes the key of its own that such a job gets, so that the same request
    twice is the same as once.
    """

    def __init__(self, services: Services, *, request: str | None, dry_run: bool) -> None:
        self._services = services
        self._request = request
        self._dry_run = dry_run

    async def below(
        self, route: Route, prefix: str, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Replayed]:
        """Yield what becomes of each input of a route below a prefix, written within these times.

        Raises:
            Refused: the workspace has no such datastore.
        """
        place = (await self._services.workspace.places()).get(route.datastore)
        if place is None:
            raise Refused(f"the workspace has no datastore {route.datastore!r} in blob storage")
        folders: set[str] = set()
        start_at = ""
        while True:
            page = await self._services.storage.page(place, prefix, start_at)
            for blob in page.blobs:
                within = (not since or blob.modified >= since) and (
                    not until or blob.modified < until
                )
                if not within or route.triggered_by(blob.path) is None:
                    continue
                if not route.gathers:
                    yield await self._file(route, place, blob, page.now)
                    continue
                folder = folder_of(route, blob.path, place)
                if folder.path not in folders:
                    folders.add(folder.path)
                    yield await self._folder(folder, page.now)
            if not page.next:
                return
            start_at = page.next

    async def _file(self, route: Route, place: Place, blob: Blob, now: datetime) -> Replayed:
        job = job_for(route, blob.landing(place, blob.modified), place, self._services.escaping)
        if self._is_young(route, blob, now) and await self._known(job) is None:
            return self._told("young", route, job.path)
        return await self._job(job, remembered=blob.modified >= _remembered(self._services, now))

    async def _folder(self, folder: Folder, now: datetime) -> Replayed:
        services = self._services
        files = await services.storage.folder(folder.place, folder.path)
        if isinstance(files, Forbidden):
            return self._told("forbidden", folder.route, folder.path)
        job = gathered(folder, files, services.escaping, emptied=now)
        known = await self._known(job)
        if known is None and job.landing.landed >= _remembered(services, now):
            if not self._dry_run:
                await services.touches.touch(folder)
            return self._told("filling", folder.route, folder.path)
        return await self._job(job, remembered=False)

    async def _job(self, job: Job, *, remembered: bool) -> Replayed:
        known = await self._known(job)
        if known == "open":
            return self._told("open", job.route, job.path, job.key)
        if known is None and remembered:
            return await self._start(job, "claimed", otherwise="open")
        if self._request is None:
            return self._told("ended", job.route, job.path, job.key)
        once_more = again(job, self._request)
        if await self._known(once_more) or await self._has_left_output(once_more):
            return self._told("asked-before", job.route, job.path, once_more.key)
        return await self._start(once_more, "again", otherwise="asked-before")

    async def _start(self, job: Job, what: What, *, otherwise: What) -> Replayed:
        if not self._dry_run:
            if not await start(self._services, job, later=True):
                return self._told(otherwise, job.route, job.path, job.key)
            info(
                Action.REPLAYED,
                job=job.key,
                route=job.route.name,
                path=job.path,
                of=job.again_of or None,
                request=self._request if job.again_of else None,
            )
        return self._told(what, job.route, job.path, job.key)

    async def _has_left_output(self, job: Job) -> bool:
        """Tell whether a job of this request has ended so long ago that the ledger forgot it."""
        if job.route.output_kind == "none":
            return False
        folder = job.route.output_kind == "folder"
        look = self._services.storage.newest if folder else self._services.storage.blob
        return isinstance(await look(job.place, job.output_path(1)), Blob)

    async def _known(self, job: Job) -> Literal["open", "ended"] | None:
        if await self._services.ledger.end(job.key) is not None:
            return "ended"
        return "open" if await self._services.ledger.job(job.key) is not None else None

    def _is_young(self, route: Route, blob: Blob, now: datetime) -> bool:
        """Tell whether a job would score, or reject, what is not all there yet."""
        timing, patience = self._services.timing, timedelta(0)
        if route.on_overwrite == "ignore":  # what comes later would be no other version
            patience = timing.event_patience
        if route.input == "file" and blob.size == 0:
            patience = timing.empty_patience
        return now - blob.modified < patience

    @staticmethod
    def _told(what: What, route: Route, path: str, key: str = "") -> Replayed:
        return Replayed(route=route.name, path=path, job=key, what=what)


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
    if await writes.save(services, opened, adopted) is None:
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
    await _check_remembered(services, events, kept.entry)
    if not dry_run:
        await take(services, events, later=True)
        await services.messages.drop(kept)
        info(Action.RELEASED, digest=kept.digest, events=len(events))
    return len(events)


# --- what they share ----------------------------------------------------------------------------


def _remembered(services: Services, now: datetime) -> datetime:
    """Return since when the ledger knows what landed; what is older may have been scored."""
    return now - services.timing.retention + timedelta(days=1)


async def _check_remembered(services: Services, events: Sequence[Event], entry: str) -> None:
    """Raise `Refused` if an event is so old that its neighbours' jobs may be forgotten."""
    since = _remembered(services, (await services.ledger.open_jobs()).now)
    for event in events:
        if isinstance(event, Ignored):
            continue
        when = event.renamed if isinstance(event, Renamed) else event.landed
        if when < since:
            raise Refused(
                f"{entry} tells of {event.path}, which landed at {when}: the ledger may have"
                " forgotten that it was scored; `ledger replay --again` scores it"
            )


_FOLLOWS = {
    State.PENDING: "it has ended, canceled",
    State.SUBMITTED: "its batch job's cancel was asked for; poll sees its end",
    State.UNKNOWN: "it is canceled once its batch job is found, or given up",
}


async def _open(services: Services, key: str) -> tuple[OpenJob, datetime]:
    listing = await services.ledger.open_jobs()
    for opened in listing.jobs:
        if opened.key == key:
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
            await writes.cancel_surplus(services, job.key, other.name)


async def _give_up(services: Services, opened: OpenJob, step: Save | Finish, now: datetime) -> None:
    # What poll did meanwhile counts: an end is written only by who holds the entry.
    progress = step.progress if isinstance(step, Save) else opened.progress
    mine = await writes.save(services, opened, progress)
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
        if await writes.save(services, opened, progress) is None:
            return False
    if progress.batch_job:
        await writes.ask_for_cancel(services, opened.key, progress)
    return True


async def _end_before_submission(services: Services, opened: OpenJob, now: datetime) -> bool:
    job = await services.ledger.job(opened.key)
    if job is None:
        return False
    # So marked nobody submits it; who dies here leaves what poll ends as canceled, too.
    marked = _canceled(opened.progress, State.SUBMITTING, now)
    mine = await writes.save(services, opened, marked)
    if mine is None:
        return False
    await finish(services, mine, job, canceled_in_time(), mine.changed)
    return True


def _canceled(progress: Progress, state: State, now: datetime) -> Progress:
    return progress.to(state, cancel_asked=now, cancel_code=BY_OPERATOR)


async def _kept(services: Services, digest: str) -> Kept:
    shelves = [await services.messages.kept(shelf) for shelf in (Shelf.QUARANTINE, Shelf.STUCK)]
    found = [kept for shelf in shelves for kept in shelf if kept.digest.startswith(digest)]
    if len({kept.digest for kept in found}) > 1:
        raise Refused(f"{len(found)} kept messages begin with {digest!r}: write more of it")
    if not found:
        raise Refused(f"no message is kept whose digest begins with {digest!r}")
    return found[0]


def _moved_on(key: str) -> Refused:
    return Refused(f"job {key} moved on meanwhile: look at it again")
