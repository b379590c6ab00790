"""The queue trigger: polling, concurrency, retries and poison, as the storage extension does it."""

import asyncio
import base64
import binascii
import contextlib
import json

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.host.connections import Json, queue_service, resolved, seconds
from local.host.invocations import Function, say

_HIDDEN = 600.0  # seconds for which a received message is hidden
_FIRST_GAP = 0.1  # seconds between two looks at a queue that had messages


class QueueListener:
    """Feeds one function from its queue."""

    def __init__(self, function: Function, options: Json, pace: float) -> None:
        name = resolved(str(function.trigger["queueName"]))
        self._service = queue_service(str(function.trigger["connection"]))
        self._queue = self._service.get_queue_client(name)
        self._poison = self._service.get_queue_client(f"{name}-poison")
        self._is_poison = name.endswith("-poison")
        self._function = function
        self._batch = int(options.get("batchSize", 16))
        self._threshold = int(options.get("newBatchThreshold", self._batch // 2))
        self._most_deliveries = int(options.get("maxDequeueCount", 5))
        self._again_after = seconds(str(options.get("visibilityTimeout", "00:00:00"))) * pace
        self._longest_gap = seconds(str(options.get("maxPollingInterval", "00:01:00")))
        self._base64 = options.get("messageEncoding", "base64") == "base64"
        self._hidden = max(1, round(_HIDDEN * pace))
        self._work: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()

    @property
    def working(self) -> set[asyncio.Task[None]]:
        """The messages in work."""
        return self._work

    async def listen(self) -> None:
        """Poll the queue until cancelled."""
        gap = _FIRST_GAP
        while True:
            messages = await self._receive()
            for message in messages:
                task = asyncio.create_task(self._process(message))
                self._work.add(task)
                task.add_done_callback(self._done)
            gap = _FIRST_GAP if messages else min(gap * 1.6, self._longest_gap)
            await asyncio.sleep(gap)
            while len(self._work) > self._threshold:
                self._room.clear()
                await self._room.wait()

    async def close(self) -> None:
        """Close the client."""
        await self._service.close()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        self._room.set()

    async def _receive(self) -> list[QueueMessage]:
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._batch, visibility_timeout=self._hidden
            ).by_page()
            return [message async for message in await anext(pages)]
        except (ResourceNotFoundError, StopAsyncIteration):
            return []
        except AzureError as failure:
            say("fail", "Host.Queues[0]", f"{type(failure).__name__}: {failure}")
            return []

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._deliver(message)
        except AzureError as failure:
            say("fail", "Host.Queues[0]", f"{type(failure).__name__}: {failure}")

    async def _deliver(self, message: QueueMessage) -> None:
        body = self._body(message)
        if body is None or (message.dequeue_count or 0) > self._most_deliveries:
            await self._to_poison(message)
            return
        reason = f"New queue message detected on '{self._queue.queue_name}'."
        details = (
            f"MessageId: {message.id}, DequeueCount: {message.dequeue_count},"
            f" InsertedOn: {message.inserted_on:%Y-%m-%dT%H:%M:%S.000+00:00}"
        )
        if await self._function.invoke(reason, Datum(body, "bytes"), _metadata(message), details):
            await self._queue.delete_message(message)
        elif self._is_poison:
            return  # hidden for the rest of its time, then again
        elif (message.dequeue_count or 0) >= self._most_deliveries:
            await self._to_poison(message)
        else:
            await self._queue.update_message(message, visibility_timeout=int(self._again_after))

    def _body(self, message: QueueMessage) -> bytes | None:
        text = (message.content or "").encode()
        if not self._base64:
            return text
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            return None

    async def _to_poison(self, message: QueueMessage) -> None:
        say(
            "warn",
            "Microsoft.Azure.WebJobs.Host.Queues.QueueProcessor[0]",
            f"Message has reached MaxDequeueCount of {self._most_deliveries}."
            f" Moving message to queue '{self._poison.queue_name}'.",
        )
        await _send(self._poison, message.content or "")
        await self._queue.delete_message(message)


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
