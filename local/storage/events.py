"""Blob events: what Event Grid raises when a blob lands, and how its delivery can go wrong.

`GET /_admin/events` returns how many events were raised, held and dropped, and the `Behaviour`.
`POST /_admin/events` with some fields of `Behaviour` changes these and returns the same.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from local.names import storage_account_id

PATH = "/_admin/events"
TYPE = "Microsoft.Storage.BlobCreated"
COMMITS = frozenset({"PutBlob", "PutBlockList", "CopyBlob"})  # the operations that raise an event


class BlobCreated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The data of an event."""

    api: str  # the operation that created the blob
    client_request_id: str
    request_id: str
    e_tag: str  # without quotes, as in listings
    content_type: str
    content_length: int
    blob_type: str
    url: str  # percent-encoded
    sequencer: str  # orders the events of a blob, by string comparison
    storage_diagnostics: dict[str, str]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event, independent of a schema."""

    id: str
    time: str  # RFC 3339
    account: str
    container: str
    path: str
    data: BlobCreated


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How events are delivered."""

    copies: Annotated[int, msgspec.Meta(ge=1)] = 1  # of each event
    hold: bool = False  # hold events until this is false again
    order: Literal["as-raised", "reversed"] = "as-raised"  # of held events
    drop: Annotated[int, msgspec.Meta(ge=0)] = 0  # how many of the next events are never raised
    schema: Literal["eventgrid", "cloudevents"] = "eventgrid"
    encoding: Literal["base64", "plain"] = "base64"  # of the queue message


class Events:
    """Delivers the events of an account to a queue, and serves the admin path for them."""

    def __init__(self, deliver: Callable[[str], Awaitable[None]]) -> None:
        self.behaviour = Behaviour()
        self.raised = 0
        self.dropped = 0
        self._held: list[Event] = []
        self._deliver = deliver

    @property
    def held(self) -> int:
        """How many events are held."""
        return len(self._held)

    def install(self, app: web.Application) -> None:
        """Add the admin path to an app."""
        app.router.add_get(PATH, self._show)
        app.router.add_post(PATH, self._change)

    async def add(self, event: Event) -> None:
        """Deliver an event, or drop or hold it as the behaviour says."""
        if self.behaviour.drop:
            self.dropped += 1
            self.behaviour = msgspec.structs.replace(self.behaviour, drop=self.behaviour.drop - 1)
            return
        self.raised += 1
        self._held.append(event)
        await self._deliver_held()

    async def behave(self, **changes: Any) -> None:
        """Change fields of the behaviour; deliver held events that need not be held any more.

        Raises msgspec.ValidationError for an unknown field or a wrong value.
        """
        fields = msgspec.structs.asdict(self.behaviour) | changes
        self.behaviour = msgspec.convert(fields, Behaviour)
        await self._deliver_held()

    async def _deliver_held(self) -> None:
        if self.behaviour.hold:
            return
        events, self._held = self._held, []
        if self.behaviour.order == "reversed":
            events.reverse()
        for event in events:
            message = as_message(event, self.behaviour)
            for _ in range(self.behaviour.copies):
                await self._deliver(message)

    async def _show(self, _: web.Request) -> web.Response:
        counts = {"raised": self.raised, "held": self.held, "dropped": self.dropped}
        shown = msgspec.json.encode(counts | msgspec.structs.asdict(self.behaviour))
        return web.Response(body=shown, content_type="application/json")

    async def _change(self, request: web.Request) -> web.Response:
        try:
            await self.behave(**msgspec.json.decode(await request.read(), type=dict[str, Any]))
        except msgspec.MsgspecError as mistake:
            return web.Response(status=400, text=f"not a behaviour: {mistake}\n")
        return await self._show(request)


def as_message(event: Event, behaviour: Behaviour) -> str:
    """Return the text of the queue message for an event."""
    form = _as_event_grid_does if behaviour.schema == "eventgrid" else _as_cloud_event
    text = msgspec.json.encode(form(event))
    return (base64.b64encode(text) if behaviour.encoding == "base64" else text).decode()


def _subject(event: Event) -> str:
    return f"/blobServices/default/containers/{event.container}/blobs/{event.path}"


def _as_event_grid_does(event: Event) -> dict[str, Any]:
    return {
        "topic": storage_account_id(event.account),
        "subject": _subject(event),
        "eventType": TYPE,
        "eventTime": event.time,
        "id": event.id,
        "data": event.data,
        "dataVersion": "",
        "metadataVersion": "1",
    }


def _as_cloud_event(event: Event) -> dict[str, Any]:
    return {
        "source": storage_account_id(event.account),
        "subject": _subject(event),
        "type": TYPE,
        "time": event.time,
        "id": event.id,
        "data": event.data,
        "specversion": "1.0",
    }
