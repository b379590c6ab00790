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

_SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)")
_TOPIC = re.compile(r"/storageAccounts/(?P<account>[a-z0-9]+)$", re.IGNORECASE)
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


class _BlobData(msgspec.Struct, rename="camel"):
    api: str
    e_tag: str
    url: str
    content_length: int = 0


class _EventGridEvent(msgspec.Struct, rename="camel"):
    topic: str
    subject: str
    event_type: str
    event_time: Aware
    data: msgspec.Raw


class _CloudEvent(msgspec.Struct):
    source: str
    subject: str
    type: str
    time: Aware
    data: msgspec.Raw


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
            yield _read_event(event)
        except (msgspec.ValidationError, UnreadableMessage, ValueError) as mistake:
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


def _read_event(event: Any) -> Landing | Ignored:
    if not isinstance(event, dict):
        raise UnreadableMessage(f"expected an object, found {type(event).__name__}")
    if "specversion" in event:
        cloud = msgspec.convert(_raw_data(event), _CloudEvent)
        return _landing(cloud.source, cloud.subject, cloud.type, cloud.time, cloud.data)
    grid = msgspec.convert(_raw_data(event), _EventGridEvent)
    return _landing(grid.topic, grid.subject, grid.event_type, grid.event_time, grid.data)


def _raw_data(event: dict[str, Any]) -> dict[str, Any]:
    # The data's shape depends on the type, so it is read only once the type is known.
    return {**event, "data": msgspec.Raw(msgspec.json.encode(event.get("data")))}


def _landing(
    topic: str, subject: str, kind: str, time: datetime, raw_data: msgspec.Raw
) -> Landing | Ignored:
    if kind != "Microsoft.Storage.BlobCreated":
        return Ignored(path=subject, reason=f"event type {kind}")
    data = msgspec.json.decode(raw_data, type=_BlobData)
    if data.api not in COMMITTING_APIS:
        return Ignored(path=subject, reason=f"api {data.api}")
    account, place = _TOPIC.search(topic), _SUBJECT.fullmatch(subject)
    if account is None or place is None:
        raise UnreadableMessage(f"topic {topic!r} and subject {subject!r} do not name a blob")
    path = place["path"]
    if _LOST_CHARACTER in path:
        path = _path_in_url(data.url, account["account"], place["container"])
    return Landing(
        account=account["account"].lower(),
        container=place["container"],
        path=path,
        etag=normal_etag(data.e_tag),
        size=data.content_length,
        landed=time.astimezone(UTC),
    )


def _path_in_url(url: str, account: str, container: str) -> str:
    # Subjects have been seen with characters outside the BMP lost; then the url is right.
    path = unquote(urlsplit(url).path).removeprefix(f"/{account}")
    if not path.startswith(f"/{container}/"):
        raise UnreadableMessage(f"url {url!r} is not in container {container!r}")
    return path.removeprefix(f"/{container}/")
