"""What every function is wrapped in so that each invocation of it is answered.

Seen of Microsoft's host and Python worker; docs/decisions/invocations.md has the story.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

P = ParamSpec("P")

_RUNNING: set[asyncio.Task[object]] = set()


def answers_always(function: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Make sure that the host gets an answer to each invocation of an asynchronous function.

    The worker keeps no strong reference to the task of an invocation: one that awaits something
    that only it holds can be collected. And a `CancelledError` or `SystemExit` that leaves a
    function is never answers_always, or ends the worker; both become ordinary errors here.
    """

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        _RUNNING.add(task)
        try:
            await function(*args, **kwargs)
        except (asyncio.CancelledError, SystemExit) as leaving:
            raise RuntimeError(f"{function.__name__} was ended by {leaving!r}") from leaving
        finally:
            _RUNNING.discard(task)

    return call
