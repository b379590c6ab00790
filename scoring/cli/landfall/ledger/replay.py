"""`ledger replay`: scores files in storage that were not scored, or scores them again."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from scoring.cli.failures import Refused
from scoring.cli.landfall.ledger.rows import within
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.folders import gathered
from scoring.jobs.job import ContainerRef, Folder, Job, again, folder_of, job_for
from scoring.log import Action, info
from scoring.ports import Services
from scoring.routes.route import Route
from scoring.use_cases.observe import look_at_output
from scoring.use_cases.submit import Started, start

What = Literal["claimed", "open", "ended", "again", "asked-before", "filling", "young", "forbidden"]

Known = Literal["open", "ended"]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What replay did with one input.

    `claimed`: it had no job, and has one now. `open`: its job is still open. `ended`: its job has
    ended, and there was no request to score it again. `again`: it has a new job. `asked-before`:
    the same request made a job for it before. `filling`: its folder gets a job when it is quiet.
    `young`: it may still be written; its event or the sweep starts the job. `forbidden`: the app
    may not list its folder.
    """

    route: str
    path: str
    job: str  # key; empty for a folder that is filling
    what: What


class Replay:
    """Starts jobs for files in storage, as the sweep does, but without a watermark.

    An input whose job has ended, or that is so old that the ledger may have forgotten its job, is
    scored again only with a request. The name of the request is part of the new job's key, so the
    same request makes that job once.
    """

    def __init__(self, services: Services, *, request: str | None, dry_run: bool) -> None:
        self._services = services
        self._request = request
        self._dry_run = dry_run

    async def below(
        self, route: Route, prefix: str, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Replayed]:
        """Yield what is done with each input of a route below a prefix, written in this period.

        Raises:
            Refused: the workspace does not have the route's datastore.
        """
        place = (await self._services.workspace.places()).get(route.datastore)
        if place is None:
            raise Refused(f"the workspace has no datastore {route.datastore!r} in blob storage")
        folders: set[str] = set()
        start_at = ""
        while True:
            page = await self._services.storage.page(place, prefix, start_at)
            for blob in page.blobs:
                wanted = within(blob.modified, since, until)
                if not wanted or route.triggered_by(blob.path) is None:
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

    async def _file(self, route: Route, place: ContainerRef, blob: Blob, now: datetime) -> Replayed:
        job = job_for(route, blob.landing(place, blob.modified), place, self._services.escaping)
        known = await self._known(job)
        if known is None and self._is_young(route, blob, now):
            return self._replayed("young", route, job.path)
        if known is None and blob.modified >= self._services.timing.remembered_since(now):
            return await self._start(job, "claimed", otherwise="open")
        return await self._once_more(job, known)

    async def _folder(self, folder: Folder, now: datetime) -> Replayed:
        services = self._services
        files = await services.storage.folder(folder.place, folder.path)
        if isinstance(files, Forbidden):
            return self._replayed("forbidden", folder.route, folder.path)
        job = gathered(folder, files, services.escaping, emptied=now)
        known = await self._known(job)
        if known is None and job.landing.landed >= services.timing.remembered_since(now):
            if not self._dry_run:
                await services.touches.touch(folder)
            return self._replayed("filling", folder.route, folder.path)
        return await self._once_more(job, known)

    async def _once_more(self, job: Job, known: Known | None) -> Replayed:
        """Score an input again if there is a request, unless its job is still open."""
        if known == "open":
            return self._replayed("open", job.route, job.path, job.key)
        if self._request is None:
            return self._replayed("ended", job.route, job.path, job.key)
        once_more = again(job, self._request)
        if await self._known(once_more) or await self._has_left_output(once_more):
            return self._replayed("asked-before", job.route, job.path, once_more.key)
        return await self._start(once_more, "again", otherwise="asked-before")

    async def _start(self, job: Job, what: What, *, otherwise: What) -> Replayed:
        if not self._dry_run:
            if await start(self._services, job, later=True) is not Started.CLAIMED:
                return self._replayed(otherwise, job.route, job.path, job.key)
            info(
                Action.REPLAYED,
                job=job.key,
                route=job.route.name,
                path=job.path,
                of=job.again_of or None,
                request=self._request if job.again_of else None,
            )
        return self._replayed(what, job.route, job.path, job.key)

    async def _has_left_output(self, job: Job) -> bool:
        """Return whether a job that the ledger has forgotten left an output for this request."""
        return isinstance(
            await look_at_output(self._services.storage, job, 1, self._services.timing), Blob
        )

    async def _known(self, job: Job) -> Known | None:
        if await self._services.ledger.end(job.key) is not None:
            return "ended"
        return "open" if await self._services.ledger.job(job.key) is not None else None

    def _is_young(self, route: Route, blob: Blob, now: datetime) -> bool:
        """Return whether a file may still be written: a job would score, or reject, a part."""
        timing, patience = self._services.timing, timedelta(0)
        if route.on_overwrite == "ignore":  # a later write would not be scored
            patience = timing.event_patience
        if route.input == "file" and blob.size == 0:
            patience = timing.empty_patience
        return now - blob.modified < patience

    @staticmethod
    def _replayed(what: What, route: Route, path: str, key: str = "") -> Replayed:
        return Replayed(route=route.name, path=path, job=key, what=what)
