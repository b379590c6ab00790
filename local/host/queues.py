"""The queue trigger: polling, concurrency, retries and poison queue, as in the storage extension."""

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import Coroutine
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.host import log
from local.host.connections import Json, queue_service, resolved, seconds
from local.host.invocations import Function

_VISIBILITY_TIMEOUT = 600.0  # seconds for which a received message is hidden
_SHORTEST_WAIT = 0.1  # seconds between two polls of a queue


def next_wait(wait: float, longest: float) -> float:
    """Return how long to wait after a poll without messages; `wait` is the wait before it."""
    return min(max(_SHORTEST_WAIT, 1.6 * wait), longest)


class QueueListener:
    """Runs a function for each message of its queue."""

    def __init__(self, function: Function, options: Json, pace: float) -> None:
        name = resolved(str(function.trigger["queueName"]))
        service = queue_service(str(function.trigger["connection"]))
        self._queue = service.get_queue_client(name)
        self._poison = service.get_queue_client(f"{name}-poison")
        self._is_poison = name.endswith("-poison")
        self._function = function
        self._batch = int(options.get("batchSize", 16))
        self._threshold = int(options.get("newBatchThreshold", self._batch // 2))
        self._most_deliveries = int(options.get("maxDequeueCount", 5))
        self._retry_delay = seconds(str(options.get("visibilityTimeout", "00:00:00"))) * pace
        self._longest_wait = seconds(str(options.get("maxPollingInterval", "00:01:00")))
        self._base64 = options.get("messageEncoding", "base64") == "base64"
        self._hidden = max(1, round(_VISIBILITY_TIMEOUT * pace))
        self._capacity = asyncio.Event()  # set when a run ends
        self.working: set[asyncio.Task[Any]] = set()

    async def listen(self) -> None:
        """Poll the queue until cancelled."""
        wait = 0.0
        while True:
            if await _to_the_end(self._poll()):
                wait = 0.0
                await self._until_capacity()
            else:
                wait = next_wait(wait, self._longest_wait)
                await asyncio.sleep(wait)

    async def run_by_hand(self, text: str) -> bool:
        """Run once, with a text in place of a message."""
        reason = "This function was programmatically called via the host APIs."
        metadata = {"DequeueCount": Datum("0", "json")}
        return await self._function.invoke(reason, Datum(text.encode(), "bytes"), metadata)

    async def _poll(self) -> bool:
        """Receive messages and start a run for each; return whether there were any."""
        messages = await self._receive()
        for message in messages:
            task = asyncio.create_task(self._process(message))
            self.working.add(task)
            task.add_done_callback(self._done)
        return bool(messages)

    async def _until_capacity(self) -> None:
        while len(self.working) > self._threshold:
            self._capacity.clear()
            await self._capacity.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.working.discard(task)
        self._capacity.set()

    async def _receive(self) -> list[QueueMessage]:
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._batch, visibility_timeout=self._hidden
            ).by_page()
            return [message async for message in await anext(pages)]
        except (ResourceNotFoundError, StopAsyncIteration):
            return []
        except AzureError as failure:
            _log_failure(failure)
            return []

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._deliver(message)
        except AzureError as failure:
            _log_failure(failure)

    async def _deliver(self, message: QueueMessage) -> None:
        body, deliveries = self._body(message), message.dequeue_count or 1
        if body is None or (deliveries > self._most_deliveries and not self._is_poison):
            await self._to_poison(message)
        elif await self._call(message, body):
            await self._queue.delete_message(message)
        elif self._is_poison:
            return  # it is delivered again when its visibility timeout is over
        elif deliveries >= self._most_deliveries:
            await self._to_poison(message)
        else:
            await self._queue.update_message(message, visibility_timeout=int(self._retry_delay))

    async def _call(self, message: QueueMessage, body: bytes) -> bool:
        """Call the function, and keep its message hidden until there is a result."""
        reason = f"New queue message detected on '{self._queue.queue_name}'."
        details = (
            f"MessageId: {message.id}, DequeueCount: {message.dequeue_count},"
            f" InsertedOn: {message.inserted_on:%Y-%m-%dT%H:%M:%S.000+00:00}"
        )
        call = self._function.invoke(reason, Datum(body, "bytes"), _metadata(message), details)
        run = asyncio.ensure_future(call)
        while not (await asyncio.wait({run}, timeout=self._hidden / 2))[0]:
            with contextlib.suppress(AzureError):
                hidden = await self._queue.update_message(message, visibility_timeout=self._hidden)
                message.pop_receipt = hidden.pop_receipt
        return run.result()

    def _body(self, message: QueueMessage) -> bytes | None:
        text = (message.content or "").encode()
        if not self._base64:
            return text
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return None

    async def _to_poison(self, message: QueueMessage) -> None:
        log.write(
            "warn",
            "Microsoft.Azure.WebJobs.Host.Queues.QueueProcessor[0]",
            f"Message has reached MaxDequeueCount of {self._most_deliveries}."
            f" Moving message to queue '{self._poison.queue_name}'.",
        )
        await _send(self._poison, message.content or "")
        await self._queue.delete_message(message)


async def _to_the_end(work: Coroutine[Any, Any, bool]) -> bool:
    """Run a coroutine to its end; a cancellation in the meantime takes effect after it.

    A poll that is cut off may have hidden messages already. Nobody would process them for the ten
    minutes of their visibility timeout.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _log_failure(failure: AzureError) -> None:
    log.write("fail", "Host.Queues[0]", f"{type(failure).__name__}: {failure}")


async def _send(queue: QueueClient, text: str) -> None:
    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            await queue.create_queue()
        await queue.send_message(text)


def _metadata(message: QueueMessage) -> dict[str, Datum]:
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    known = {
        "Id": Datum(message.id, "string"),
        "PopReceipt": Datum(message.pop_receipt, "string"),
        "DequeueCount": Datum(str(message.dequeue_count), "json"),
    }
    return known | {
        name: Datum(json.dumps(f"{time:%Y-%m-%dT%H:%M:%S+00:00}"), "json")
        for name, time in times.items()
        if time is not None
    }
