"""An app for the tests of the host: its functions do what their message says."""

import asyncio
import json
import logging

import azure.functions as func

log = logging.getLogger("sample")
log.warning("logged at import")

app = func.FunctionApp()
gate = asyncio.Semaphore(0)  # waiting runs pass it one by one, as `release` opens it
outliving: set[asyncio.Task[None]] = set()


class Leak(BaseException):
    """A BaseException that a function must not raise."""


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage) -> None:
    """Log the message, then do what its first word says."""
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
    """Let as many runs continue as the message says."""
    for _ in range(int(message.get_body())):
        gate.release()


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-talk", connection="AzureWebJobsStorage")
async def talk(message: func.QueueMessage) -> None:
    """Log what the message says."""
    match message.get_body().decode():
        case "levels":
            log.setLevel(logging.DEBUG)
            log.debug("level debug")
            log.info("level info", extra={"field": "extra"})
            log.warning("level warning")
            log.error("level error")
            log.critical("level critical")
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
            await asyncio.create_task(_log("from a task inside"))
        case "outside":
            await asyncio.to_thread(log.info, "from a thread")
            outliving.add(asyncio.create_task(_outlive()))


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%-sync", connection="AzureWebJobsStorage")
def talk_in_a_thread(message: func.QueueMessage) -> None:
    """Log in a function that is not async."""
    log.info("not async: %s", message.get_body().decode())


async def _log(text: str) -> None:
    log.info(text)


async def _outlive() -> None:
    await gate.acquire()
    log.info("from a task that outlived its run")
    print("the task has logged")  # noqa: T201


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
