"""Waiting for a condition without polling."""

import asyncio
from collections.abc import Callable


class Changes:
    """Wakes waiting tasks after each change, so that they check their condition again."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def happened(self) -> None:
        """Wake all waiting tasks."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def until(self, condition: Callable[[], bool], *, seconds: float) -> None:
        """Wait until a condition is true.

        Raises:
            TimeoutError: it was not, within `seconds`.
        """
        async with asyncio.timeout(seconds):
            while not condition():
                change = asyncio.get_running_loop().create_future()
                self._waiting.append(change)
                await change
