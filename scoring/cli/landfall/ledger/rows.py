"""The jobs of the ledger, open and ended, as rows of a list."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec

from scoring.jobs.outcome import Status
from scoring.jobs.progress import OpenJob, State
from scoring.ports import Services
from scoring.timing import Aware
from scoring.uris import path_in_subject

_AT_ONCE = 16  # entries that are read at the same time

OPEN_STATES = frozenset(State)
ENDS = frozenset(Status)


def within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    """Return whether a moment lies in a period; its end is not part of it."""
    return (not since or moment >= since) and (not until or moment < until)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list."""

    job: str
    state: str  # of an open job, or how it ended
    since: Aware  # when it entered this state, or ended
    route: str
    path: str
    attempt: int
    batch_job: str | None
    reason: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs to list. A field with its default excludes none."""

    states: frozenset[str] = frozenset()
    route: str | None = None
    prefix: str = ""  # of the path
    name: str | None = None  # a part of the path, or a path in the folder of the job
    since: datetime | None = None
    until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether open jobs can be among them."""
        return not self.states or bool(self.states & OPEN_STATES)

    @property
    def ended(self) -> bool:
        """Whether ended jobs can be among them."""
        return not self.states or bool(self.states & ENDS)

    def then(self, moment: datetime) -> bool:
        """Return whether a moment lies in the period."""
        return within(moment, self.since, self.until)

    def fits(self, row: Row) -> bool:
        """Return whether to list a job."""
        return (
            (not self.states or row.state in self.states)
            and self.route in (None, row.route)
            and row.path.startswith(self.prefix)
            and (self.name is None or _names(self.name, row.path))
            and self.then(row.since)
        )


async def rows(services: Services, wanted: Wanted, limit: int) -> list[Row]:
    """Return the newest of the wanted jobs, the newest first.

    Entries are read from the newest on, until there are enough.
    """
    found: list[Row] = []
    async for some in _newest_first(services, wanted):
        found += filter(wanted.fits, some)
        if len(found) >= limit:
            break
    return found[:limit]


async def _newest_first(services: Services, wanted: Wanted) -> AsyncIterator[list[Row]]:
    moments: list[tuple[datetime, str, OpenJob | None]] = []
    if wanted.open:
        entries = (await services.ledger.open_jobs()).jobs
        moments += ((entry.changed, entry.key, entry) for entry in entries)
    if wanted.ended:
        async for key, ended in services.ledger.ended():
            moments.append((ended, key, None))
    moments = sorted((one for one in moments if wanted.then(one[0])), key=_by_time, reverse=True)
    for start in range(0, len(moments), _AT_ONCE):
        some = moments[start : start + _AT_ONCE]
        read = await asyncio.gather(*(_read(services, key, entry) for _, key, entry in some))
        yield [row for row in read if row is not None]


def _by_time(moment: tuple[datetime, str, OpenJob | None]) -> tuple[datetime, str]:
    return moment[:2]


async def _read(services: Services, key: str, entry: OpenJob | None) -> Row | None:
    if entry is None:
        event = await services.ledger.end(key)
        return None if event is None else ended_row(event)
    job = await services.ledger.job(key)
    if job is None:
        return None  # it has just ended
    progress = entry.progress
    return Row(
        job=key,
        state=progress.state,
        since=entry.changed,
        route=progress.route,
        path=job.path,
        attempt=progress.attempt,
        batch_job=progress.batch_job or None,
        reason=progress.cancel_code or None,
    )


def ended_row(event: bytes) -> Row:
    """Return the row of an ended job, from its completion event."""
    document: dict[str, Any] = msgspec.json.decode(event)
    data = document["data"]
    return Row(
        job=data["job"],
        state=data["status"],
        since=datetime.fromisoformat(data["times"]["ended"]),
        route=data["route"],
        path=path_in_subject(document["subject"]).rstrip("/"),
        attempt=data["attempt"],
        batch_job=data["batchJob"],
        reason=(data["reason"] or {}).get("code"),
    )


def _names(name: str, path: str) -> bool:
    """Return whether a name is a part of a job's path, or the path of a file in its folder."""
    return name in path or name.startswith(f"{path}/")
