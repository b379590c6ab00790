"""Storage events: from a queue message to landings.

Shapes: "Azure Blob Storage as Event Grid source" in the Azure documentation, in Event Grid
schema and in CloudEvents 1.0. Unknown fields are ignored.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import msgspec

from scoring.errors import UnreadableMessage
from scoring.jobs.landing import Landing, normal_etag
from scoring.timing import Aware

# The APIs that commit a blob. `CreateFile` and `SftpCreate` come before the content.
COMMITTING_APIS = frozenset({"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "SftpCommit"})


_SUBJECT = re.compile(
    r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)", re.DOTALL
)


_TOPIC = re.compile(r"/storageAccounts/(?P<account>[a-z0-9]+)\Z", re.IGNORECASE | re.ASCII)


_DIRECTORY_RENAMED = "Microsoft.Storage.DirectoryRenamed"


_RENAMES = frozenset({"Microsoft.Storage.BlobRenamed", _DIRECTORY_RENAMED})


_LOST_CHARACTER = "\ufffd"


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """A blob, or a directory with all that is in it, got another path; its version is not told."""

    account: str
    container: str
    path: str  # the new one
    directory: bool
    renamed: Aware


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


class _RenameData(msgspec.Struct, rename="camel"):
    destination_url: str


class _BlobData(msgspec.Struct, rename="camel"):
    api: str
    e_tag: Annotated[str, msgspec.Meta(min_length=1)]
    url: str
    content_length: Annotated[int, msgspec.Meta(ge=0)] = 0


def read_message(body: bytes) -> Iterator[Landing | Renamed | Ignored | UnreadableMessage]:
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
            yield _told(_event(event))
        except (msgspec.ValidationError, UnreadableMessage, ValueError, OverflowError) as mistake:
            yield UnreadableMessage(f"not a storage event: {mistake}")


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


def _told(event: _CloudEvent) -> Landing | Renamed | Ignored:
    place = _SUBJECT.fullmatch(event.subject)
    path = place["path"] if place else event.subject
    if event.type in _RENAMES:
        return _renamed(event)
    if event.type != "Microsoft.Storage.BlobCreated":
        return Ignored(path=path, reason=f"event type {event.type}")
    data = msgspec.convert(event.data, _BlobData)
    if data.api not in COMMITTING_APIS:
        return Ignored(path=path, reason=f"api {data.api}")
    account, container, path = _place(event, data.url)
    return Landing(
        account=account,
        container=container,
        path=path,
        etag=normal_etag(data.e_tag),
        size=data.content_length,
        landed=event.time.astimezone(UTC),
    )


def _renamed(event: _CloudEvent) -> Renamed:
    data = msgspec.convert(event.data, _RenameData)
    account, container, path = _place(event, data.destination_url)
    return Renamed(
        account=account,
        container=container,
        path=path.rstrip("/"),
        directory=event.type == _DIRECTORY_RENAMED,
        renamed=event.time.astimezone(UTC),
    )


def _place(event: _CloudEvent, url: str) -> tuple[str, str, str]:
    """Return account, container and path of what an event is about."""
    topic, place = _TOPIC.search(event.source), _SUBJECT.fullmatch(event.subject)
    if topic is None or place is None:
        raise UnreadableMessage(f"{event.source!r} and {event.subject!r} do not name a blob")
    account, container, path = topic["account"].lower(), place["container"], place["path"]
    if _LOST_CHARACTER in path:
        path = _path_in_url(url, account, container)
    return account, container, path


def _path_in_url(url: str, account: str, container: str) -> str:
    # Subjects have been seen with characters outside the BMP lost; then the url is right.
    path = unquote(urlsplit(url).path)
    for root in (f"/{container}/", f"/{account}/{container}/"):  # the emulator names the account
        if path.startswith(root):
            return path.removeprefix(root)
    raise UnreadableMessage(f"url {url!r} is not in container {container!r}")
