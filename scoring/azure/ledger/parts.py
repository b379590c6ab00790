"""A listing that is long is made in parts, side by side, and cut when it takes too long.

Keys are hexadecimal, so their first digit cuts a listing in sixteen. A short one is one request,
as any listing is: its first page is all.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from scoring.azure.errors import Missing, asking, translating_errors
from scoring.azure.ledger.blobs import LEDGER, no_container
from scoring.concurrency import run_workers

PAGE = 5_000  # blobs of a page, the most that the service gives

_DIGITS = "0123456789abcdef"
_AT_ONCE = 8  # parts


class Listing(NamedTuple):
    """What a listing has shown."""

    now: datetime  # the storage's time when it began
    blobs: list[BlobProperties]
    # Counted from the key at which it started: from this key on blobs may be missing.
    missing_from: str | None
    whole: bool


class _Part:
    """The blobs whose keys begin with one digit."""

    def __init__(self, digit: str) -> None:
        self.digit = digit
        self.blobs: list[BlobProperties] = []
        self.complete = False

    def missing_from(self, prefix: str) -> str:
        last = self.blobs[-1].name.removeprefix(prefix) if self.blobs else self.digit
        return f"{last}0" if self.blobs else last  # the next key in any order of hexadecimal digits


async def listed_in_parts(
    container: ContainerClient, prefix: str, *, start: str, within: timedelta | None
) -> Listing:
    """List the blobs below a prefix, with their metadata.

    The parts from the key `start` on come first.
    """
    now, first, more = await _first_page(container, prefix)
    if not more:
        return Listing(now, first, None, whole=True)
    covered = first[-1].name.removeprefix(prefix)[:1]  # the first page ends among these
    head = [blob for blob in first if blob.name.removeprefix(prefix)[:1] < covered]
    parts = [_Part(digit) for digit in _DIGITS if digit >= covered]
    await _fill(container, prefix, sorted(parts, key=lambda part: part.digit < start[:1]), within)
    missing = [part for part in parts if not part.complete]
    after_start = [part.missing_from(prefix) for part in missing if part.digit >= start[:1]]
    blobs = [*head, *(blob for part in parts for blob in part.blobs)]
    return Listing(now, blobs, min(after_start, default=None), whole=not missing)


async def _first_page(
    container: ContainerClient, prefix: str
) -> tuple[datetime, list[BlobProperties], bool]:
    dates: list[str] = []
    pages = container.list_blobs(
        name_starts_with=prefix,
        include=["metadata"],
        results_per_page=PAGE,
        raw_response_hook=lambda page: dates.append(page.http_response.headers["Date"]),
    ).by_page()
    try:
        async with asking(LEDGER):
            blobs = [blob async for blob in await anext(pages)]
            now = parsedate_to_datetime(dates[0])
    except Missing as missing:
        raise no_container(missing) from None
    more = bool(getattr(pages, "continuation_token", None)) and bool(blobs)
    return now, blobs, more


async def _fill(
    container: ContainerClient, prefix: str, parts: list[_Part], within: timedelta | None
) -> None:
    waiting: Iterator[_Part] = iter(parts)

    async def worker() -> None:
        for part in waiting:
            async for blob in _blobs(container, prefix + part.digit):
                part.blobs.append(blob)
            part.complete = True

    try:
        async with asyncio.timeout(within.total_seconds() if within else None):
            await run_workers(worker, min(_AT_ONCE, len(parts)))
    except TimeoutError:
        return


async def _blobs(container: ContainerClient, prefix: str) -> AsyncIterator[BlobProperties]:
    with translating_errors(LEDGER):
        async for blob in container.list_blobs(
            name_starts_with=prefix, include=["metadata"], results_per_page=PAGE
        ):
            yield blob
