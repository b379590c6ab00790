"""Doing something with many things, a few at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from scoring.errors import Unavailable

AT_ONCE = 16

T = TypeVar("T")


async def for_each_then_raise(do: Callable[[T], Awaitable[object]], things: Sequence[T]) -> None:
    """Do this with each of them, whatever becomes of the others; raise the first failure."""
    waiting = iter(things)
    failures: list[Exception] = []

    async def worker() -> None:
        for thing in waiting:
            try:
                await do(thing)
            except Exception as failure:  # noqa: BLE001
                failures.append(failure)

    await run_workers(worker, min(AT_ONCE, len(things)))
    if failures:
        raise failures[0]


@contextlib.asynccontextmanager
async def time_limit(limit: timedelta, what: str) -> AsyncIterator[None]:
    """Cut what takes longer than this.

    Raises:
        Unavailable: it did.
    """
    seconds = limit.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"{what}: not done in {seconds:g} s") from None


async def run_workers(worker: Callable[[], Awaitable[None]], number: int) -> None:
    """Run so many workers at once; a single one needs no task of its own."""
    if number == 1:
        await worker()
    else:
        await asyncio.gather(*(worker() for _ in range(number)))
