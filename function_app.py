"""Landfall's functions: each parses, calls one use case and returns."""

import os

import azure.functions as func

from scoring.azure.invocation import answers_always
from scoring.services import prepared, services
from scoring.settings import (
    LANDINGS_QUEUE,
    POISON_QUEUE,
    STORAGE_CONNECTION,
    poll_schedule,
    sweep_schedule,
)
from scoring.use_cases.on_landing import on_landing as take_message
from scoring.use_cases.on_poison import on_poison as take_poison
from scoring.use_cases.poll import poll as run_poll
from scoring.use_cases.sweep import sweep as run_sweep

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name=LANDINGS_QUEUE, connection=STORAGE_CONNECTION)
@answers_always
async def on_landing(message: func.QueueMessage) -> None:
    """Start the jobs of what landed."""
    await take_message(await services(), message.get_body())


@app.queue_trigger(arg_name="message", queue_name=POISON_QUEUE, connection=STORAGE_CONNECTION)
@answers_always
async def on_poison(message: func.QueueMessage) -> None:
    """Take dead letters once more, or keep them."""
    await take_poison(await services(), message.get_body())


@app.timer_trigger(arg_name="timer", schedule=poll_schedule(os.environ), run_on_startup=False)
@answers_always
async def poll(timer: func.TimerRequest) -> None:
    """Do the next step of each open job."""
    del timer  # a hint, not a lock: what is open says what is due
    await run_poll(await services())


@app.timer_trigger(arg_name="timer", schedule=sweep_schedule(os.environ), run_on_startup=False)
@answers_always
async def sweep(timer: func.TimerRequest) -> None:
    """Claim what landed and was not announced."""
    del timer
    await run_sweep(prepared(), services)
