"""Letting pending jobs of limited routes through to the endpoint, in one tick of poll.

    list open/ ──► which wait ──► mark a job `submitting` ──► list open/ again ──► POST
                                                                   └── too many by now:
                                                                       pending again

Two polls may mark different jobs at once. Each lists after its own mark, so of two marks at
least one is seen by both, and never do both POST beyond the limit.
"""

import asyncio
import math

from scoring.jobs.limits import by_route, limit, room, waiting
from scoring.jobs.progress import OpenJob, OpenJobs
from scoring.ports import Services


class Admission:
    """Which jobs may be submitted in one tick, and whether a marked job still has a place."""

    def __init__(self, services: Services, listing: OpenJobs) -> None:
        self._services = services
        of_route, routes = by_route(listing.jobs), services.routes
        self._limited = {
            name for name, its_jobs in of_route.items() if limit(name, its_jobs, routes) < math.inf
        }
        self._running: asyncio.Task[OpenJobs] | None = None
        self._next: asyncio.Task[OpenJobs] | None = None
        self.waiting = waiting(of_route, routes, listing.now)
        if not listing.whole:
            # Nobody knows how many jobs of a limited route are active.
            self.waiting |= {job.key for name in self._limited for job in of_route[name]}

    async def has_room(self, marked: OpenJob) -> bool:
        """Tell whether a job that was just marked `submitting` is within its route's limit."""
        route = marked.progress.route
        if route not in self._limited:
            return True
        listing = await self._listed_anew()
        its_jobs = by_route(listing.jobs)[route]
        return listing.whole and room(route, its_jobs, self._services.routes) >= 0

    async def _listed_anew(self) -> OpenJobs:
        """Return a listing that begins after this call; all that wait for one share it."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._list_after(self._running))
        return await asyncio.shield(self._next)

    async def _list_after(self, running: asyncio.Task[OpenJobs] | None) -> OpenJobs:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._services.ledger.open_jobs(within=self._services.timing.listing)
