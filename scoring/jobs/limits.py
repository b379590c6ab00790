"""Which pending jobs wait: their route is disabled, or has as many batch jobs as it may have."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from scoring.jobs.progress import OpenJob, State
from scoring.routes.route import Route

_ACTIVE = frozenset({State.SUBMITTING, State.SUBMITTED, State.UNKNOWN})
"""States of jobs that may have a batch job; one that is being canceled is still submitted."""


def by_route(jobs: Iterable[OpenJob]) -> defaultdict[str, list[OpenJob]]:
    """Return the jobs of each route by its name; of any other route there are none."""
    of_route: defaultdict[str, list[OpenJob]] = defaultdict(list)
    for job in jobs:
        of_route[job.progress.route].append(job)
    return of_route


def waiting(
    of_route: Mapping[str, Sequence[OpenJob]], routes: Sequence[Route], now: datetime
) -> frozenset[str]:
    """Return the keys of the pending jobs that wait; of each route the oldest landings go first."""
    disabled = {route.name for route in routes if not route.enabled}
    keys: set[str] = set()
    for name, its_jobs in of_route.items():
        due = sorted((job for job in its_jobs if job.progress.may_be_submitted(now)), key=_age)
        places = 0 if name in disabled else room(name, its_jobs, routes)
        keys.update(job.key for place, job in enumerate(due) if place >= places)
    return frozenset(keys)


def room(name: str, its_jobs: Sequence[OpenJob], routes: Sequence[Route]) -> float:
    """Return how many more batch jobs a route may have; below zero: it has too many."""
    return limit(name, its_jobs, routes) - sum(job.progress.state in _ACTIVE for job in its_jobs)


def limit(name: str, its_jobs: Sequence[OpenJob], routes: Sequence[Route]) -> float:
    """Return how many batch jobs a route may have; infinite: any number.

    What routes.toml says now counts; once the route is gone from it, what it said at the claims.
    """
    route = next((one for one in routes if one.name == name), None)
    limits = [route.limit] if route else [job.progress.max_active for job in its_jobs]
    return min((one for one in limits if one is not None), default=math.inf)


def _age(job: OpenJob) -> tuple[bool, datetime, str]:
    # What its input kept from its submission must not keep others from a place.
    return job.progress.held_since is not None, job.progress.landed or job.changed, job.key
