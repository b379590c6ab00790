"""What every function is wrapped in so that each invocation of it is answered.

Seen of Microsoft's host and Python worker; docs/decisions/invocations.md has the story.
"""

import asyncio
import functools
import traceback
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from scoring.log import printable, redacted

P = ParamSpec("P")

_RUNNING: set[asyncio.Task[object]] = set()


def answers_always(function: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """Make sure that the host gets an answer to each invocation of an asynchronous function.

    The worker keeps no strong reference to the task of an invocation: one that awaits something
    that only it holds can be collected. And a `CancelledError` or `SystemExit` that leaves a
    function is never answered, or ends the worker; both become ordinary errors here. The host logs
    what a function raises, so it leaves without secrets, and escaped.
    """

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        _RUNNING.add(task)
        failure: Exception | None = None
        try:
            await function(*args, **kwargs)
        except (asyncio.CancelledError, SystemExit) as leaving:
            failure = RuntimeError(f"{function.__name__} was ended by {leaving!r}")
            failure.__cause__ = leaving
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is raised again
            failure = raised
        finally:
            _RUNNING.discard(task)
        if failure is not None:  # not in the `except`, or the first would be shown with its copy
            raise without_secrets(failure)

    return call


def without_secrets(failure: Exception) -> Exception:
    """Return a failure as it may be logged: itself, or a copy that says the same without secrets.

    What made it fail, its notes and the members of a group are logged with it.
    """
    said = "".join(traceback.format_exception_only(failure)).strip()
    shown = "".join(traceback.format_exception(failure))
    if _safe(said) == said and _safe(shown) == shown:
        return failure
    copy = RuntimeError(_safe(said))
    copy.add_note(_safe(shown))
    return copy


def _safe(text: str) -> str:
    return printable(redacted(text), but="\n")
