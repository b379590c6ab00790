"""What all events of Landfall have in common: the envelope of CloudEvents 1.0, and reasons."""

import msgspec

from scoring.timing import Aware


class Reason(msgspec.Struct, kw_only=True):
    """Why something is not as it should be: a code for programs, a message for people."""

    code: str
    message: str


class CloudEvent(msgspec.Struct, kw_only=True):
    """A CloudEvent in structured mode, but for its `data`."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: Aware
    datacontenttype: str = "application/json"
    dataschema: str
