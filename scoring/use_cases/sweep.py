"""The sweep: goes on with kept messages, then finds the landings whose events never came.

    page 1 ── page 2 ── … ── last page ──► watermark = the time of page 1, or of the oldest blob
       │                                   that was left alone, less an overlap
       └── what fails ──────────────────► no new watermark: the next sweep does it all again
       └── time runs out ───────────────► the place is kept, the next sweep goes on from there

What lands while a sweep is under way, under a name that it has passed, is younger than page 1.
Dead letters come first: they are few, and a listing that uses up all the time would starve them,
while each route gets at least one page.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

import msgspec

from scoring.concurrency import for_each_then_raise
from scoring.jobs.blobs import Blob, Page
from scoring.jobs.job import ContainerRef, Job, folder_of, job_for
from scoring.jobs.marks import SweepMark
from scoring.log import Action, describe, error, info, warning
from scoring.ports import Services
from scoring.routes.patterns import literal_beginning
from scoring.routes.route import Route
from scoring.use_cases import on_poison
from scoring.use_cases.submit import start


async def sweep(
    prepared: Services, complete: Callable[[], Awaitable[Services]] | None = None
) -> None:
    """Note where first sweeps begin; go on with dead letters; claim what landed and is not known.

    One route's error does not stop the others.

    Args:
        prepared: the services before the workspace was asked for its datastores.
        complete: returns them with the routes that work in these datastores.

    Raises:
        Unavailable, SetupError: ledger or workspace cannot be reached, or refuses.
    """
    last_page = prepared.until(prepared.timing.deadline)
    try:
        async with asyncio.timeout(prepared.timing.cut.total_seconds()):
            marks = await _begin(prepared)
            services = prepared if complete is None else await complete()
            await on_poison.go_on(services)
            await _sweep_all(services, marks, last_page)
    except TimeoutError:
        warning(Action.SWEEP_CUT, reason="it takes too long")


async def _begin(services: Services) -> dict[str, SweepMark]:
    """Return the routes' marks; write down where a first sweep begins, whatever becomes of it.

    Also for a route that is left out for a mistake: once that is fixed, its first sweep has to
    find what landed until then.
    """
    since = {route.name: route.since for route in services.routes}
    marks: dict[str, SweepMark] = {}
    for name in services.route_names:
        mark, now = await services.marks.sweep_mark(name)
        if mark.watermark is None:
            first = since.get(name) or now - services.timing.sweep
            begun = SweepMark(watermark=first, unswept=True, version=mark.version)
            await services.marks.leave_sweep_mark(name, begun)
            mark, _ = await services.marks.sweep_mark(name)
        marks[name] = mark
    return marks


async def _sweep_all(services: Services, marks: dict[str, SweepMark], last_page: float) -> None:
    places = await services.workspace.places()
    listing = await services.ledger.open_jobs(within=services.timing.listing)
    known = _Known(listing.now, frozenset(job.key for job in listing.jobs))
    for route in services.routes:
        place = places.get(route.datastore)
        if place is None:
            continue  # it was named when the routes were read
        try:
            await _Sweep(services, route, place, known).run(marks[route.name], last_page)
        except Exception as failure:  # noqa: BLE001
            error(Action.SWEEP_ERROR, route=route.name, error=describe(failure))


class _Known(NamedTuple):
    """What a sweep knows before it looks at any route."""

    now: datetime
    open: frozenset[str]  # keys of jobs


class _Sweep:
    """The sweep of one route."""

    def __init__(
        self, services: Services, route: Route, place: ContainerRef, known: _Known
    ) -> None:
        self._services = services
        self._timing = services.timing
        self._route = route
        self._place = place
        self._known = known

    async def run(self, before: SweepMark, last_page: float) -> None:
        """List page by page until the end, or until it is too late to begin another."""
        try:
            mark = await self._pass(before, last_page)
        except Exception:
            if before.place:  # it may be what failed
                anew = SweepMark(
                    watermark=before.watermark, unswept=before.unswept, version=before.version
                )
                await self._services.marks.leave_sweep_mark(self._route.name, anew)
            raise
        await self._services.marks.leave_sweep_mark(self._route.name, mark)

    async def _pass(self, mark: SweepMark, last_page: float) -> SweepMark:
        prefix = literal_beginning(self._route.trigger)
        while True:
            page = await self._services.storage.page(self._place, prefix, mark.place)
            mark = await self._work_through(page, mark)
            if not page.next:
                return mark
            if self._services.clock() >= last_page:
                warning(Action.SWEEP_CUT, route=self._route.name)
                return mark

    async def _work_through(self, page: Page, mark: SweepMark) -> SweepMark:
        """Claim what a page shows and nobody knows; return the mark after it."""
        since = self._since(page.now, mark)
        landed = [blob for blob in page.blobs if blob.modified >= since and self._is_ours(blob)]
        young: list[Blob] = []
        old: list[Blob] = []
        for blob in landed:
            (young if self._is_young(blob, page.now) else old).append(blob)
        await for_each_then_raise(self._take, old)
        first_page = mark.oldest_left or page.now
        oldest_left = min([blob.modified for blob in young] + [first_page])
        if page.next:
            return msgspec.structs.replace(
                mark, watermark=since, place=page.next, oldest_left=oldest_left
            )
        return SweepMark(
            watermark=max(oldest_left - self._timing.sweep_overlap, since), version=mark.version
        )

    def _since(self, now: datetime, mark: SweepMark) -> datetime:
        """Return from when on blobs are looked at: never before what the ledger has forgotten."""
        known_since = self._timing.remembered_since(now)
        # A route that was broken may have got its `since` only now.
        first = self._route.since if mark.unswept is True else None
        return max(first or mark.watermark or now - self._timing.sweep, known_since)

    def _is_ours(self, blob: Blob) -> bool:
        return self._route.triggered_by(blob.path) is not None

    def _is_young(self, blob: Blob, now: datetime) -> bool:
        empty = blob.size == 0 and self._route.input == "file"
        patience = self._timing.empty_patience if empty else self._timing.event_patience
        return now - blob.modified < patience

    async def _take(self, blob: Blob) -> None:
        if self._route.gathers:
            await self._services.touches.touch(folder_of(self._route, blob.path, self._place))
            return
        job = self._job(blob)
        if job.key in self._known.open:
            return
        # Known or not is decided by the claim; this look only saves the claims of what ended.
        if await self._services.ledger.end(job.key) is None:
            info(Action.FOUND, job=job.key, route=self._route.name, path=blob.path)
            await start(self._services, job, later=True)

    def _job(self, blob: Blob) -> Job:
        landing = blob.landing(self._place, blob.modified)
        return job_for(self._route, landing, self._place, self._services.escaping)
