"""The worker's own traps: each invocation is answered."""

import asyncio
import gc
import weakref

import pytest

from scoring.azure.invocation import answers_always


@pytest.mark.parametrize("leaving", [asyncio.CancelledError, SystemExit])
async def test_what_the_host_would_never_answer_becomes_an_ordinary_error(
    leaving: type[BaseException],
) -> None:
    @answers_always
    async def function() -> None:
        raise leaving

    with pytest.raises(RuntimeError, match="function was ended by"):
        await function()


async def test_a_cancelled_invocation_is_answered() -> None:
    started = asyncio.Event()

    @answers_always
    async def function() -> None:
        started.set()
        await asyncio.get_running_loop().create_future()

    invocation = asyncio.ensure_future(function())
    await started.wait()
    invocation.cancel()
    with pytest.raises(RuntimeError):
        await invocation


async def test_an_invocation_that_nobody_holds_is_not_collected() -> None:
    """The worker keeps no strong reference to the task, and a future that only the task awaits
    makes a cycle that the garbage collector takes, with everything in it."""
    futures: weakref.WeakSet[asyncio.Future[None]] = weakref.WeakSet()
    started = asyncio.Event()
    finished: list[bool] = []

    @answers_always
    async def function() -> None:
        only_held_here: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures.add(only_held_here)
        started.set()
        await only_held_here
        finished.append(True)

    task = weakref.ref(asyncio.ensure_future(function()))
    await started.wait()
    gc.collect()
    for future in futures:
        future.set_result(None)
    alive = task()
    assert alive is not None
    await alive
    assert finished == [True]


async def test_a_function_keeps_its_name_and_parameters_for_the_index() -> None:
    async def on_landing(message: str) -> None:
        """Start."""

    wrapped = answers_always(on_landing)
    assert wrapped.__name__ == "on_landing"
    assert asyncio.iscoroutinefunction(wrapped)
    assert wrapped.__wrapped__ is on_landing  # type: ignore[attr-defined]
