"""Waiting until something is true of what a part has seen, without asking again and again."""

import asyncio
from collections.abc import Callable


class Changes:
    """Wakes those that wait whenever something changed."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def happened(self) -> None:
        """Let everybody who waits look again."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def until(self, true: Callable[[], bool], *, seconds: float) -> None:
        """Wait until something is true.

        Raises:
            TimeoutError: it was not within so many seconds.
        """
        async with asyncio.timeout(seconds):
            while not true():
                look_again = asyncio.get_running_loop().create_future()
                self._waiting.append(look_again)
                await look_again
