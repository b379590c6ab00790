"""Which pending jobs wait: their route is disabled, or has as many batch jobs as it may have.

    list open/ ──► who is held back ──► mark a job `submitting` ──► list open/ again ──► POST
                                                                          └── too many by now:
                                                                              pending again

Two polls may mark different jobs at once. Each lists after its own mark, so of two marks at
least one is seen by both, and never do both POST beyond the limit.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from scoring.job import OpenJob, State
from scoring.route import Route

_ACTIVE = frozenset({State.SUBMITTING, State.SUBMITTED, State.UNKNOWN})
"""States of jobs that may have a batch job; one that is being canceled is still submitted."""


def held_back(jobs: Iterable[OpenJob], routes: Sequence[Route], now: datetime) -> frozenset[str]:
    """Return the keys of the pending jobs that wait; of each route the oldest landings go first."""
    of_route: defaultdict[str, list[OpenJob]] = defaultdict(list)
    for job in jobs:
        of_route[job.progress.route].append(job)
    disabled = {route.name for route in routes if not route.enabled}
    held: set[str] = set()
    for name, its_jobs in of_route.items():
        due = sorted((job for job in its_jobs if job.progress.may_be_submitted(now)), key=_age)
        places = 0 if name in disabled else room(name, its_jobs, routes)
        held.update(job.key for place, job in enumerate(due) if place >= places)
    return frozenset(held)


def room(name: str, jobs: Iterable[OpenJob], routes: Sequence[Route]) -> float:
    """Return how many more batch jobs a route may have; below zero: it has too many.

    What routes.toml says now counts; once the route is gone from it, what it said at the claims.
    """
    its_jobs = [job for job in jobs if job.progress.route == name]
    route = next((one for one in routes if one.name == name), None)
    recorded = [job.progress.max_active for job in its_jobs]
    limits = [route.limit] if route else recorded
    limit = min((limit for limit in limits if limit is not None), default=math.inf)
    return limit - sum(job.progress.state in _ACTIVE for job in its_jobs)


def _age(job: OpenJob) -> tuple[datetime, str]:
    return job.progress.landed or job.changed, job.key
