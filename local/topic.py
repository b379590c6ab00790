"""An Event Grid custom topic: receives CloudEvents, writes them to a file and sends them to webhooks.

Delivery to webhooks follows the CloudEvents webhook specification: an OPTIONS handshake first,
then each event at least once, with retries.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from local.changes import Changes
from local.faults import ADMIN, Faults
from local.names import EVENT_GRID_AUDIENCE
from local.run_folder import RunFolder
from local.serving import serve
from local.tokens import refusal

ORIGIN = "eventgrid.azure.net"

_REQUIRED = ("id", "source", "specversion", "type")
_LARGEST = 1_048_576  # bytes of a batch
_WAITS = (0.1, 0.5, 2.0, 5.0, 10.0)  # seconds between the attempts to deliver one event

Event = dict[str, Any]


class Webhook(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """A subscriber and its filters."""

    url: str
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    included_event_types: tuple[str, ...] = ()

    def wants(self, event: Event) -> bool:
        """Return whether an event passes the filters."""
        subject = str(event.get("subject", ""))
        return (
            subject.startswith(self.subject_begins_with)
            and subject.endswith(self.subject_ends_with)
            and (not self.included_event_types or event["type"] in self.included_event_types)
        )


class Topic:
    """The running topic; `events` are all that it accepted, in order, including duplicates."""

    def __init__(self, file: Path) -> None:
        self.url = ""
        self.file = file
        self.events: list[Event] = []
        self.faults = Faults()
        self.webhooks: list[Webhook] = []
        self._changes = Changes()
        self._deliveries: set[asyncio.Task[None]] = set()

    async def until(
        self, condition: Callable[[list[Event]], bool], *, seconds: float
    ) -> list[Event]:
        """Wait until a condition holds for the events; return them. Raises TimeoutError."""
        await self._changes.until(lambda: condition(self.events), seconds=seconds)
        return self.events

    async def subscribe(self, webhook: Webhook) -> None:
        """Add a subscriber after the handshake. Raises ValueError if it does not allow this origin."""
        headers = {"WebHook-Request-Origin": ORIGIN}
        async with (
            aiohttp.ClientSession() as session,
            session.options(webhook.url, headers=headers) as answer,
        ):
            allowed = answer.headers.get("WebHook-Allowed-Origin", "")
        if allowed not in ("*", ORIGIN):
            raise ValueError(f"{webhook.url} did not answer OPTIONS with WebHook-Allowed-Origin")
        self.webhooks.append(webhook)

    def app(self) -> web.Application:
        """Return the topic's web application."""
        app = web.Application(client_max_size=2 * _LARGEST)
        self.faults.install(app)
        app.router.add_post("/api/events", self._receive)
        app.router.add_get(f"{ADMIN}events", self._list)
        app.router.add_post(f"{ADMIN}webhooks", self._subscribe)
        return app

    async def close(self) -> None:
        """Cancel the deliveries that are not done yet."""
        for delivery in self._deliveries:
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)

    async def _receive(self, request: web.Request) -> web.Response:
        reason = refusal(request.headers.get("Authorization"), EVENT_GRID_AUDIENCE)
        if reason:
            return _refuse(401, "Unauthorized", reason)
        body = await request.read()
        if len(body) > _LARGEST:
            return _refuse(413, "PayloadTooLarge", f"a batch may have {_LARGEST} bytes")
        try:
            found = json.loads(body)
        except ValueError as mistake:
            return _refuse(400, "BadRequest", f"not JSON: {mistake}")
        events = found if isinstance(found, list) else [found]
        if not events:  # reported in fbeltrao/AzureFunctionExtensions#6
            return _refuse(400, "BadRequest", "there is no event in the request")
        for event in events:
            missing = [
                name for name in _REQUIRED if not isinstance(event, dict) or name not in event
            ]
            if missing:
                return _refuse(400, "BadRequest", f"a CloudEvent needs {', '.join(missing)}")
        await self._deliver(events)
        return web.Response()

    async def _deliver(self, events: list[Event]) -> None:
        with self.file.open("a") as lines:
            lines.writelines(json.dumps(event) + "\n" for event in events)
        self.events += events
        self._changes.happened()
        for event in events:
            for webhook in self.webhooks:
                if webhook.wants(event):
                    delivery = asyncio.create_task(_post(webhook.url, event))
                    self._deliveries.add(delivery)
                    delivery.add_done_callback(self._deliveries.discard)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(self.events)

    async def _subscribe(self, request: web.Request) -> web.Response:
        try:
            await self.subscribe(msgspec.json.decode(await request.read(), type=Webhook))
        except (msgspec.MsgspecError, ValueError, aiohttp.ClientError) as mistake:
            return _refuse(400, "BadRequest", str(mistake))
        return web.Response(status=201)


async def _post(url: str, event: Event) -> None:
    headers = {"Content-Type": "application/cloudevents+json", "WebHook-Request-Origin": ORIGIN}
    async with aiohttp.ClientSession() as session:
        for wait in (*_WAITS, None):
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(url, data=json.dumps(event), headers=headers) as answer:
                    if answer.ok:
                        return
            if wait is not None:
                await asyncio.sleep(wait)


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


@contextlib.asynccontextmanager
async def start(folder: RunFolder) -> AsyncIterator[Topic]:
    """Run the topic."""
    part = Topic(folder.path / "events.jsonl")
    with folder.alone("topic"):
        part.file.unlink(missing_ok=True)
        async with serve(part.app(), tls=folder.server_tls()) as url:
            part.url = f"{url}/api/events"
            with folder.announced("topic", url=part.url, file=str(part.file)):
                yield part
                await part.close()
