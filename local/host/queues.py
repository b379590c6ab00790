"""The queue trigger: polling, concurrency, retries and poison, as the storage extension does it."""

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

from local.host.connections import Json, queue_service, resolved, seconds
from local.host.invocations import Function
from local.host.log import say

_HIDDEN = 600.0  # seconds for which a received message is hidden
_FIRST_GAP = 0.1  # seconds between two looks at a queue that had messages


def next_gap(gap: float, longest: float) -> float:
    """Return how long to wait after a look that found nothing; `gap` is the wait before it."""
    return min(max(_FIRST_GAP, 1.6 * gap), longest)


class QueueListener:
    """Feeds one function from its queue."""

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
        self._again_after = seconds(str(options.get("visibilityTimeout", "00:00:00"))) * pace
        self._longest_gap = seconds(str(options.get("maxPollingInterval", "00:01:00")))
        self._base64 = options.get("messageEncoding", "base64") == "base64"
        self._hidden = max(1, round(_HIDDEN * pace))
        self._room = asyncio.Event()
        self.working: set[asyncio.Task[Any]] = set()

    async def listen(self) -> None:
        """Poll the queue until cancelled."""
        gap = 0.0
        while True:
            if await _unbroken(self._look()):
                gap = 0.0
                await self._until_room()
            else:
                gap = next_gap(gap, self._longest_gap)
                await asyncio.sleep(gap)

    async def run_by_hand(self, text: str) -> bool:
        """Run once with a text that comes from no queue."""
        reason = "This function was programmatically called via the host APIs."
        metadata = {"DequeueCount": Datum("0", "json")}
        return await self._function.invoke(reason, Datum(text.encode(), "bytes"), metadata)

    async def _look(self) -> bool:
        """Start a run for each message that the queue gives; tell whether there was one."""
        messages = await self._receive()
        for message in messages:
            task = asyncio.create_task(self._process(message))
            self.working.add(task)
            task.add_done_callback(self._done)
        return bool(messages)

    async def _until_room(self) -> None:
        while len(self.working) > self._threshold:
            self._room.clear()
            await self._room.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.working.discard(task)
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
            _complain(failure)
            return []

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._deliver(message)
        except AzureError as failure:
            _complain(failure)

    async def _deliver(self, message: QueueMessage) -> None:
        body, deliveries = self._body(message), message.dequeue_count or 1
        if body is None or (deliveries > self._most_deliveries and not self._is_poison):
            await self._to_poison(message)
        elif await self._call(message, body):
            await self._queue.delete_message(message)
        elif self._is_poison:
            return  # hidden for the rest of its time, then again
        elif deliveries >= self._most_deliveries:
            await self._to_poison(message)
        else:
            await self._queue.update_message(message, visibility_timeout=int(self._again_after))

    async def _call(self, message: QueueMessage, body: bytes) -> bool:
        """Call the function, and keep its message hidden for as long as there is no answer."""
        reason = f"New queue message detected on '{self._queue.queue_name}'."
        details = (
            f"MessageId: {message.id}, DequeueCount: {message.dequeue_count},"
            f" InsertedOn: {message.inserted_on:%Y-%m-%dT%H:%M:%S.000+00:00}"
        )
        call = self._function.invoke(reason, Datum(body, "bytes"), _metadata(message), details)
        run = asyncio.ensure_future(call)
        while not (await asyncio.wait({run}, timeout=self._hidden / 2))[0]:
            with contextlib.suppress(AzureError):
                kept = await self._queue.update_message(message, visibility_timeout=self._hidden)
                message.pop_receipt = kept.pop_receipt
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
        say(
            "warn",
            "Microsoft.Azure.WebJobs.Host.Queues.QueueProcessor[0]",
            f"Message has reached MaxDequeueCount of {self._most_deliveries}."
            f" Moving message to queue '{self._poison.queue_name}'.",
        )
        await _send(self._poison, message.content or "")
        await self._queue.delete_message(message)


async def _unbroken(work: Coroutine[Any, Any, bool]) -> bool:
    """Do a piece of work to its end, and be cancelled then if it was asked for meanwhile.

    What a look at the queue hides would be lost for ten minutes if nobody waited for its answer.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _complain(failure: AzureError) -> None:
    say("fail", "Host.Queues[0]", f"{type(failure).__name__}: {failure}")


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
