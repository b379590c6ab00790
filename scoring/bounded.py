"""Doing many things, a few at a time."""

import asyncio
from collections.abc import Awaitable, Iterable

AT_ONCE = 16


async def in_any_case(tasks: Iterable[Awaitable[object]]) -> None:
    """Do all of these, so many at once, whatever becomes of the others; raise the first failure.

    None is asked for before its turn, so that a cut leaves none behind that was never begun.
    """
    waiting = iter(tasks)
    failures: list[Exception] = []

    async def worker() -> None:
        for task in waiting:
            try:
                await task
            except Exception as failure:  # noqa: BLE001
                failures.append(failure)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    if failures:
        raise failures[0]
