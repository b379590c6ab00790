"""Events as services and relays have been seen to spell them, or may."""

import base64
import json
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]


def _in_data(**fields: Any) -> Callable[[Event], Event]:
    return lambda event: {**event, "data": {**event["data"], **fields}}


def _in_event_grid_schema(event: Event) -> Event:
    names = {"source": "topic", "type": "eventType", "time": "eventTime"}
    return {names.get(name, name): value for name, value in event.items() if name != "specversion"}


_OF_EVENTS: dict[str, Callable[[Event], Event]] = {
    "in Event Grid schema": _in_event_grid_schema,
    "no ETag": _in_data(eTag=None),
    "no size": _in_data(contentLength=None),
    "of SFTP, empty": _in_data(api="SftpCommit", contentLength=0),
    "another size": _in_data(contentLength=7),
    "no url": _in_data(url=None),
    "no time": lambda event: {**event, "time": "2026-11-24T12:00:00"},
}
_OF_MESSAGES: dict[str, Callable[[bytes], bytes]] = {
    "in base64": base64.encodebytes,
    "in base64 for URLs": lambda body: base64.urlsafe_b64encode(body).rstrip(b"="),
    "with a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
}
SPELLINGS = (*_OF_EVENTS, *_OF_MESSAGES)
"""Each is one way in which an event differs from the usual."""


def spelled(event: Event, how: str | None, beside: Event | None) -> bytes:
    """Return the message of an event, perhaps after another one."""
    if how in _OF_EVENTS:
        event = _OF_EVENTS[how](event)
    document = json.dumps([beside, event] if beside else event).encode()
    return _OF_MESSAGES[how](document) if how in _OF_MESSAGES else document
