"""Storage events: from a queue message to landings.

Shapes: "Azure Blob Storage as Event Grid source" in the Azure documentation, in Event Grid
schema and in CloudEvents 1.0. Nothing is read that is not needed, and the type comes first: an event
of another type may hold whatever it likes.
"""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from scoring.errors import UnreadableMessage
from scoring.events.lost_characters import LOST, restored
from scoring.jobs.landing import Landing, normal_etag
from scoring.timing import Aware
from scoring.uris import has_dot_segment

# The APIs that commit a blob. `CreateFile` and `SftpCreate` come before the content.
COMMITTING_APIS = frozenset({"PutBlob", "PutBlockList", "CopyBlob", "FlushWithClose", "SftpCommit"})

_CREATED = "Microsoft.Storage.BlobCreated"
_RENAMED = "Microsoft.Storage.BlobRenamed"
_DIRECTORY_RENAMED = "Microsoft.Storage.DirectoryRenamed"

# Where each schema has its type, source and time; subject and data are called so in both.
_EVENT_GRID = ("eventType", "topic", "eventTime")
_CLOUD_EVENTS = ("type", "source", "time")

_SUBJECT = re.compile(
    r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<path>.+)", re.DOTALL
)
_TOPIC = re.compile(r"/storageAccounts/(?P<account>[a-z0-9]+)\Z", re.IGNORECASE | re.ASCII)
_ETAG = re.compile(r"[!-~]{1,200}")
_BLANK = " \t\r\n\ufeff"  # the last is the byte order mark
_HALF_CHARACTER = re.compile(r"[\ud800-\udfff]")
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 20  # digits
_LONGEST_REASON = 2_000  # characters


class PartialLanding(msgspec.Struct, frozen=True, kw_only=True):
    """A blob appeared, and its event does not say all about it: it has to be looked at."""

    account: str
    container: str
    path: str
    etag: str = ""  # without quotes; empty: not known
    landed: Aware | None  # None: not known


class DirectoryRenamed(msgspec.Struct, frozen=True, kw_only=True):
    """A directory got this path, and with it all files in it."""

    account: str
    container: str
    path: str
    landed: Aware | None  # None: not known


class Ignored(msgspec.Struct, frozen=True, kw_only=True):
    """A storage event that is no landing."""

    path: str
    reason: str


Event = Landing | PartialLanding | DirectoryRenamed | Ignored


# --- messages -----------------------------------------------------------------------------------


def read_message(body: bytes) -> Iterator[Event | UnreadableMessage]:
    """Yield what each event of a queue message tells.

    A message is JSON or base64 of JSON, one event or an array of events. An event that cannot be
    understood is yielded as the error that says why, so that it does not stop its neighbours.
    """
    try:
        document = _document(body)
    except (ValueError, RecursionError) as mistake:
        yield UnreadableMessage(f"the message is neither JSON nor base64 of JSON: {mistake}")
        return
    for event in document if isinstance(document, list) else [document]:
        try:
            yield _read_event(event)
        except UnreadableMessage as mistake:
            yield UnreadableMessage(f"not a storage event: {mistake}"[:_LONGEST_REASON])


def _document(body: bytes) -> Any:
    text = _text(body)
    if not text.startswith(("{", "[")):
        text = _text(_decoded(text))
    return json.loads(text, parse_int=_number)


def _text(raw: bytes) -> str:
    """Decode JSON, or base64, in UTF-8, UTF-16 or UTF-32, with or without a byte order mark."""
    return raw.decode(json.detect_encoding(raw)).strip(_BLANK)


def _decoded(text: str) -> bytes:
    """Decode base64: of either alphabet, in lines or not, padded or not."""
    digits = "".join(text.split()).translate(str.maketrans("-_", "+/"))
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)


def _number(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


# --- events -------------------------------------------------------------------------------------


class _Event(NamedTuple):
    """The fields of an event that are read, as they are."""

    type: Any
    source: Any
    subject: str
    time: Any
    data: dict[str, Any]


def _read_event(document: Any) -> Event:
    event = _event(document)
    if event.type == _CREATED:
        return _created(event)
    if event.type in (_RENAMED, _DIRECTORY_RENAMED):
        return _renamed(event)
    if not isinstance(event.type, str):
        raise UnreadableMessage("it has no type")
    return _ignored(event, f"event type {event.type}")


def _event(document: Any) -> _Event:
    if not isinstance(document, dict):
        raise UnreadableMessage(f"expected an object, found {type(document).__name__}")
    in_event_grid = isinstance(document.get("eventType"), str)
    names = _EVENT_GRID if in_event_grid else _CLOUD_EVENTS
    kind, source, time = (document.get(name) for name in names)
    subject, data = document.get("subject"), document.get("data")
    return _Event(
        type=kind,
        source=source,
        subject=_HALF_CHARACTER.sub(LOST, subject) if isinstance(subject, str) else "",
        time=time,
        data=data if isinstance(data, dict) else {},
    )


def _created(event: _Event) -> Event:
    api = event.data.get("api")
    if not isinstance(api, str):
        raise UnreadableMessage("its data name no api")
    if api not in COMMITTING_APIS:
        return _ignored(event, f"api {api}")
    account, container, path = _place(event, event.data.get("url"))
    if has_dot_segment(path):
        return Ignored(path=path, reason="dot-segment")
    etag, size = _etag(event.data.get("eTag")), _size(event.data.get("contentLength"))
    landed = _time(event)
    if path.endswith("/") and size == 0:
        return Ignored(path=path, reason="directory")
    # A size of 0 need not be true: events of commits over SFTP say so of any file.
    if not (etag and size and landed):
        return PartialLanding(
            account=account, container=container, path=path, etag=etag, landed=landed
        )
    return Landing(
        account=account, container=container, path=path, etag=etag, size=size, landed=landed
    )


def _renamed(event: _Event) -> Event:
    account, container, path = _place(event, event.data.get("destinationUrl"))
    if has_dot_segment(path):
        return Ignored(path=path, reason="dot-segment")
    kind = DirectoryRenamed if event.type == _DIRECTORY_RENAMED else PartialLanding
    return kind(account=account, container=container, path=path.rstrip("/"), landed=_time(event))


def _place(event: _Event, url: object) -> tuple[str, str, str]:
    """Return account, container and path of what an event is about."""
    topic = _TOPIC.search(event.source) if isinstance(event.source, str) else None
    place = _SUBJECT.fullmatch(event.subject)
    if topic is None or place is None:
        raise UnreadableMessage(f"{event.source!r} and {event.subject!r} do not name a blob")
    account, container, path = topic["account"].lower(), place["container"], place["path"]
    if LOST in path:
        found = restored(path, url, (f"{container}/", f"{account}/{container}/"))
        if found is None:
            raise UnreadableMessage(f"{path!r} has lost characters that url {url!r} does not tell")
        path = found
    return account, container, path


def _ignored(event: _Event, reason: str) -> Ignored:
    place = _SUBJECT.fullmatch(event.subject)
    return Ignored(path=place["path"] if place else event.subject, reason=reason)


def _etag(value: object) -> str:
    etag = normal_etag(value) if isinstance(value, str) else ""
    return etag if _ETAG.fullmatch(etag) else ""


def _size(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _LARGEST else None


def _time(event: _Event) -> datetime | None:
    try:
        return msgspec.convert(event.time, Aware).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
