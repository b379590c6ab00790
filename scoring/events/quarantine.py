"""The event of a message in quarantine.

docs/events.md is the contract with subscribers, docs/quarantine-event.schema.json its schema.
"""

import msgspec

from scoring.events.cloud_event import CloudEvent, Reason
from scoring.events.dead_letters import DeadLetter

DATA_SCHEMA = "urn:landfall:quarantine-event:1"
TYPE = "Landfall.MessageQuarantined"


class Data(msgspec.Struct, kw_only=True):
    """The `data` of the event. What the message says is not in it: it may be anything."""

    message: str
    reason: Reason
    size: int  # bytes
    entry: str


class QuarantineEvent(CloudEvent, kw_only=True):
    """The event. It has no version: each publication makes it anew, and copies must be the same."""

    data: Data


def quarantine_event(kept: DeadLetter, source: str) -> bytes:
    """Return the event of a message in quarantine as the bytes that every copy consists of.

    The same bytes are kept once, so their digest is the event's id.
    """
    return msgspec.json.encode(
        QuarantineEvent(
            id=kept.digest,
            source=source,
            type=TYPE,
            subject=f"/{kept.entry}",
            time=kept.since,
            dataschema=DATA_SCHEMA,
            data=Data(
                message=kept.digest,
                reason=Reason(code="unreadable", message=kept.reason),
                size=kept.size,
                entry=kept.entry,
            ),
        )
    )
