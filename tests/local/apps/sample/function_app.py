"""An app for the tests of the host: does with a message what the message says."""

import asyncio
import json
import logging

import azure.functions as func

log = logging.getLogger("sample")
log.warning("said at import")

app = func.FunctionApp()
gate = asyncio.Semaphore(0)  # what waits goes on one by one, as `release` lets it
outliving: set[asyncio.Task[None]] = set()


class Leak(BaseException):
    """No Exception: it must not leave a function."""


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    """Log what came, then do what its first word says."""
    text = message.get_body().decode()
    log.info("got %s %s", text[:20], json.dumps(_known(message)))
    match text.partition(" ")[0]:
        case "fail":
            raise ValueError("as asked")
        case "cancel":
            raise asyncio.CancelledError
        case "leak":
            raise Leak("as asked")
        case "exit":
            raise SystemExit(3)
        case "wait":
            try:
                await gate.acquire()
            finally:
                log.info("left %s", text)


@app.queue_trigger(arg_name="message", queue_name="%POISON%", connection="AzureWebJobsStorage")
async def on_poison(message: func.QueueMessage) -> None:
    """Fail."""
    raise ValueError(f"poison, try={message.dequeue_count}")


@app.queue_trigger(
    arg_name="message", queue_name="%QUEUE%-release", connection="AzureWebJobsStorage"
)
async def release(message: func.QueueMessage) -> None:
    """Let so many runs go on."""
    for _ in range(int(message.get_body())):
        gate.release()


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-talk", connection="AzureWebJobsStorage")
async def talk(message: func.QueueMessage) -> None:
    """Log what the message asks for."""
    match message.get_body().decode():
        case "levels":
            log.setLevel(logging.DEBUG)
            log.debug("said debug")
            log.info("said info", extra={"field": "extra"})
            log.warning("said warning")
            log.error("said error")
            log.critical("said critical")
        case "traceback":
            try:
                dict[str, str]()["lost"]
            except KeyError:
                log.exception("could not")
        case "long":
            log.info("long %s end", "ü" * 40_000)
        case "characters":
            log.info("漢字 😀 \u2028 \x85 \x1c \udcff end")
        case "line ends":
            log.info("one\rtwo\nthree\r\nfour")
        case "inside":
            await asyncio.create_task(_say("from a task inside"))
        case "outside":
            await asyncio.to_thread(log.info, "from a thread")
            outliving.add(asyncio.create_task(_outlive()))


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-sync", connection="AzureWebJobsStorage")
def talk_in_a_thread(message: func.QueueMessage) -> None:
    """Log in a function that is not async."""
    log.info("not async: %s", message.get_body().decode())


async def _say(text: str) -> None:
    log.info(text)


async def _outlive() -> None:
    await gate.acquire()
    log.info("from a task that outlived its run")
    print("the task has spoken")  # noqa: T201


def _known(message: func.QueueMessage) -> dict[str, object]:
    times = {
        "inserted": message.insertion_time,
        "expires": message.expiration_time,
        "visible": message.time_next_visible,
    }
    known = {
        "size": len(message.get_body()),
        "id": message.id,
        "try": message.dequeue_count,
        "receipt": type(message.pop_receipt).__name__,
    }
    return known | {name: time and time.isoformat() for name, time in times.items()}
