"""Log lines: `action key=value …`, for people and for KQL's `parse-kv` alike.

A value with anything but letters, digits and `._:/@%+-` stands in double quotes.
The actions are listed here and nowhere else; docs/operate.md says what each means.
"""

import enum
import logging
import re
from collections.abc import Mapping

logger = logging.getLogger("landfall")

_PLAIN = re.compile(r"[A-Za-z0-9._:/@%+-]+")
# What ends a line in any reader, or cannot be written at all; it would forge a line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST = 2_000  # characters of a value


class Action(enum.StrEnum):
    """What happened. The first word of each line."""

    # an event
    IGNORED = "ignored"
    WAITING = "waiting"
    FOUND = "found"
    UNREADABLE = "unreadable"
    # a message that on_landing gave up
    QUARANTINED = "quarantined"
    STUCK = "stuck"
    UNSTUCK = "unstuck"
    RELEASED = "released"
    # a job, step by step
    REPLAYED = "replayed"
    CLAIMED = "claimed"
    UNSEEN = "unseen"
    METADATA_CUT = "metadata-cut"
    DUPLICATE = "duplicate"
    SUBMITTED = "submitted"
    HELD = "held"
    UNCLEAR = "unclear"
    ADOPTED = "adopted"
    LOST = "lost"
    TRYING_AGAIN = "trying-again"
    MOVED_ON = "moved-on"
    SURPLUS = "surplus"
    SURPLUS_LEFT = "surplus-left"
    CANCELING = "canceling"
    # its end
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed-out"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    NO_RECEIPT = "no-receipt"
    ANNOUNCED = "announced"
    NOT_ANNOUNCED = "not-announced"
    # the app itself
    STARTED = "started"
    ROUTE_BROKEN = "route-broken"
    JOB_ERROR = "job-error"
    POLL_CUT = "poll-cut"
    SWEEP_CUT = "sweep-cut"
    SWEEP_ERROR = "sweep-error"
    LAST_ANSWER_USED = "last-answer-used"


Value = str | int | None


_SECRET = re.compile(
    r"(?P<named>\b(?:sig|accountkey|sharedaccesskey|sharedaccesssignature|aeg-sas-key|"
    r"aeg-sas-token|access_token|client_secret)[\"']?\s*[=:]\s*[\"']?)[^&;,\s\"']+"
    r"|(?P<scheme>\bbearer\s+)[^\s\"',;]+"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return text as it may stand in a log, an event or the ledger: without secrets.

    Half a character, as services leave it when they cut a text, becomes a question mark: it could
    not be written.
    """
    safe = _SECRET.sub(lambda found: f"{found['named'] or found['scheme'] or ''}***", text)
    return safe.encode("utf-8", "replace").decode()


def describe(failure: Exception) -> str:
    """Return what a log line says of a failure."""
    return f"{type(failure).__name__}: {failure}"


def line(action: Action, **fields: Value) -> str:
    """Return one log line; fields that are None are left out."""
    said = (f"{name}={_value(value)}" for name, value in fields.items() if value is not None)
    return " ".join([action.value, *said])


def info(action: Action, **fields: Value) -> None:
    """Log a step that is as it should be."""
    _say(logging.INFO, action, fields)


def warning(action: Action, **fields: Value) -> None:
    """Log something that an operator may want to know about."""
    _say(logging.WARNING, action, fields)


def error(action: Action, **fields: Value) -> None:
    """Log something that an operator has to fix."""
    _say(logging.ERROR, action, fields)


def _say(level: int, action: Action, fields: Mapping[str, Value]) -> None:
    if logger.isEnabledFor(level):
        logger.log(level, line(action, **fields))


def _value(value: Value) -> str:
    text = redacted(str(value))[:_LONGEST]
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_CONTROL.sub(" ", escaped)}"'
