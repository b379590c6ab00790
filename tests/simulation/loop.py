"""An event loop whose time is virtual: it jumps to the next timer, and its order is fixed."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 3_000_000  # callbacks in one run; it has a few thousand


class _Handle:
    """What asyncio's handles are, as far as tasks, futures and timeouts use them.

    Without contexts: nothing here has context variables.
    """

    __slots__ = ("_when", "args", "callback")

    def __init__(self, callback: Callable[..., object], args: Any, when: float) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self._when = when

    def cancel(self) -> None:
        self.callback = None

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self._when


class VirtualLoop(asyncio.AbstractEventLoop):
    """Just what tasks, futures and timeouts need. Nothing outside of it can wake it."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._order = itertools.count()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until a coroutine has ended, and nothing else is ready.

        Raises:
            RuntimeError: it comes to no end.
        """
        asyncio._set_running_loop(self)
        ready, timers = self._ready, self._timers
        try:
            task = self.create_task(main)
            for _ in range(_MOST):
                if task.done() and not ready:
                    return task.result()  # type: ignore[no-any-return]
                if ready:
                    handle = ready.popleft()
                else:
                    self._now, _, handle = heapq.heappop(timers)
                if handle.callback is not None:
                    handle.callback(*handle.args)
            raise RuntimeError(f"{_MOST} callbacks, and no end: something goes round in circles")
        finally:
            asyncio._set_running_loop(None)

    def time(self) -> float:
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Handle:
        handle = _Handle(callback, args, self._now)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Handle:
        timer = _Handle(callback, args, when)
        heapq.heappush(self._timers, (max(when, self._now), next(self._order), timer))
        return timer

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> _Handle:
        return self.call_at(self._now + delay, callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What nobody waits for any more belongs to a host that is dead."""
