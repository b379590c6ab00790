"""Landings, and the storage events that tell of them.

Shapes: "Azure Blob Storage as Event Grid source" in the Azure documentation, in Event Grid
schema and in CloudEvents 1.0. Unknown fields are ignored.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec

from scoring.errors import UnreadableMessage

# The APIs that commit a blob. `CreateFile` and `SftpCreate` come before the content.
COMMITTING_APIS = frozenset({"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "SftpCommit"})

_SUBJECT = re.compile(
    r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)", re.DOTALL
)
_TOPIC = re.compile(r"/storageAccounts/(?P<account>[a-z0-9]+)\Z", re.IGNORECASE | re.ASCII)
_LOST_CHARACTER = "\ufffd"

Aware = Annotated[datetime, msgspec.Meta(tz=True)]


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one blob that appeared."""

    account: str
    container: str
    path: str
    etag: str  # without quotes
    size: int  # bytes
    landed: Aware  # when the service says that it appeared


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A storage event that is no landing."""

    path: str
    reason: str


class _CloudEvent(msgspec.Struct):
    source: str
    subject: str
    type: str
    time: Aware
    data: Any = None  # its shape depends on the type


class _EventGridEvent(msgspec.Struct, rename="camel"):
    topic: str
    subject: str
    event_type: str
    event_time: Aware
    data: Any = None


class _BlobData(msgspec.Struct, rename="camel"):
    api: str
    e_tag: Annotated[str, msgspec.Meta(min_length=1)]
    url: str
    content_length: Annotated[int, msgspec.Meta(ge=0)] = 0


def read_message(body: bytes) -> Iterator[Landing | Ignored | UnreadableMessage]:
    """Yield what each event of a queue message tells.

    A message is JSON or base64 of JSON, one event or an array of events. An event that cannot be
    understood is yielded as the error that says why, so that it does not stop its neighbours.
    """
    try:
        document = msgspec.json.decode(_json_of(body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as mistake:
        yield UnreadableMessage(f"the message is neither JSON nor base64 of JSON: {mistake}")
        return
    for event in document if isinstance(document, list) else [document]:
        try:
            yield _landing(_event(event))
        except (msgspec.ValidationError, UnreadableMessage, ValueError, OverflowError) as mistake:
            yield UnreadableMessage(f"not a storage event: {mistake}")


def normal_etag(etag: str) -> str:
    """Return an ETag as Landfall keeps it: without quotes. Services send both forms."""
    return etag.removeprefix("W/").strip('"')


def _json_of(body: bytes) -> bytes:
    text = body.strip()
    if text[:1] in (b"{", b"["):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text


def _event(event: Any) -> _CloudEvent:
    if not isinstance(event, dict):
        raise UnreadableMessage(f"expected an object, found {type(event).__name__}")
    if "specversion" in event:
        return msgspec.convert(event, _CloudEvent)
    grid = msgspec.convert(event, _EventGridEvent)
    return _CloudEvent(
        source=grid.topic,
        subject=grid.subject,
        type=grid.event_type,
        time=grid.event_time,
        data=grid.data,
    )


def _landing(event: _CloudEvent) -> Landing | Ignored:
    place = _SUBJECT.fullmatch(event.subject)
    path = place["path"] if place else event.subject
    if event.type != "Microsoft.Storage.BlobCreated":
        return Ignored(path=path, reason=f"event type {event.type}")
    data = msgspec.convert(event.data, _BlobData)
    if data.api not in COMMITTING_APIS:
        return Ignored(path=path, reason=f"api {data.api}")
    topic = _TOPIC.search(event.source)
    if topic is None or place is None:
        raise UnreadableMessage(f"{event.source!r} and {event.subject!r} do not name a blob")
    account, container = topic["account"].lower(), place["container"]
    return Landing(
        account=account,
        container=container,
        path=_path_in_url(data.url, account, container) if _LOST_CHARACTER in path else path,
        etag=normal_etag(data.e_tag),
        size=data.content_length,
        landed=event.time.astimezone(UTC),
    )


def _path_in_url(url: str, account: str, container: str) -> str:
    # Subjects have been seen with characters outside the BMP lost; then the url is right.
    path = unquote(urlsplit(url).path)
    for root in (f"/{container}/", f"/{account}/{container}/"):  # the emulator names the account
        if path.startswith(root):
            return path.removeprefix(root)
    raise UnreadableMessage(f"url {url!r} is not in container {container!r}")
