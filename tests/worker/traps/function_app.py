"""What the worker never answers, each twice: as it is, and wrapped in `answers_always`."""

import asyncio
import gc
import weakref

import azure.functions as func

from scoring.azure.invocation import answers_always

app = func.FunctionApp()


async def waits_for_what_only_it_holds(message: func.QueueMessage) -> None:
    """Await a future that nothing but this task refers to, with a collection in between."""
    del message
    loop = asyncio.get_running_loop()
    only_held_here: asyncio.Future[None] = loop.create_future()
    loop.call_soon(_collect_and_resolve, weakref.ref(only_held_here))
    await only_held_here


def _collect_and_resolve(future: weakref.ref[asyncio.Future[None]]) -> None:
    gc.collect()
    alive = future()
    if alive is not None:
        alive.set_result(None)


async def is_cancelled(message: func.QueueMessage) -> None:
    """Be cancelled from outside."""
    del message
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.Event().wait()


async def awaits_what_was_cancelled(message: func.QueueMessage) -> None:
    """Let the cancellation of something else out, as a client that is being closed does."""
    del message
    other = asyncio.get_running_loop().create_future()
    other.cancel()
    await other


async def exits(message: func.QueueMessage) -> None:
    """Leave with SystemExit."""
    raise SystemExit(int(message.get_body()))


for trap in (waits_for_what_only_it_holds, is_cancelled, awaits_what_was_cancelled, exits):
    for name, function in (
        (trap.__name__, trap),
        (f"{trap.__name__}_answered", answers_always(trap)),
    ):
        trigger = app.queue_trigger(
            arg_name="message", queue_name="traps", connection="AzureWebJobsStorage"
        )
        app.function_name(name)(trigger(function))
