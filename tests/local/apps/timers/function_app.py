"""An app for the tests of the host, with timers."""

import asyncio
import json
import logging

import azure.functions as func

log = logging.getLogger("timers")
app = func.FunctionApp()
gate = asyncio.Semaphore(0)

EACH_SECOND = "* * * * * *"
NEW_YEAR = "0 0 0 1 1 *"


def _data(timer: func.TimerRequest) -> str:
    data = (timer.past_due, timer.schedule_status, timer.schedule)  # type: ignore[attr-defined]
    return json.dumps(data)


@app.timer_trigger(arg_name="timer", schedule=EACH_SECOND)
async def beat(timer: func.TimerRequest) -> None:
    """Log the data of the timer."""
    log.info("beat %s", _data(timer))


@app.timer_trigger(arg_name="timer", schedule=EACH_SECOND)
async def fails(timer: func.TimerRequest) -> None:
    """Fail at each tick."""
    raise ValueError(f"at this tick, {timer.past_due}")


@app.timer_trigger(arg_name="timer", schedule=EACH_SECOND)
async def slow(timer: func.TimerRequest) -> None:
    """Last until `release` is run by hand."""
    log.info("slow begins %s", _data(timer))
    await gate.acquire()
    log.info("slow ends")


@app.timer_trigger(arg_name="timer", schedule=NEW_YEAR)
async def release(timer: func.TimerRequest) -> None:
    """Let one slow run end."""
    del timer
    gate.release()


@app.timer_trigger(arg_name="timer", schedule=NEW_YEAR)
async def yearly(timer: func.TimerRequest) -> None:
    """Log the data of the timer."""
    log.info("yearly %s", _data(timer))


@app.timer_trigger(arg_name="timer", schedule="99 * * * * *")
async def no_such_second(timer: func.TimerRequest) -> None:
    """Be disabled."""
    del timer


@app.timer_trigger(arg_name="timer", schedule="0 0 0 * * 7")
async def no_such_weekday(timer: func.TimerRequest) -> None:
    """Be disabled."""
    del timer


@app.timer_trigger(arg_name="timer", schedule="%NOSUCH%")
async def no_such_setting(timer: func.TimerRequest) -> None:
    """Be disabled."""
    del timer
