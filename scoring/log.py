"""Log lines: `action key=value …`, for people and for KQL's `parse-kv` alike.

A value with anything but letters, digits and `._:/@%+-` stands in double quotes; what cannot be
seen in it is escaped.
The actions are listed here and nowhere else; docs/operate.md says what each means.
"""

import enum
import logging
import re
from collections.abc import Mapping

logger = logging.getLogger("landfall")

_PLAIN = re.compile(r"[A-Za-z0-9._:/@%+-]+")
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


_START = r"(?:(?<![A-Za-z])|(?<=[0-9][A-Fa-f]))"  # of a word, or after `%3F`
_EQUALS = r"(?:[=:]|%(?:25)*3[AD]|\\+u003[AD]|&\#(?:61|x3D);)"
_QUOTE = r"(?:\\*[\"']|%(?:25)*2[27])?"
_IS = rf"(?:{_QUOTE}\s{{0,9}}{_EQUALS}\s{{0,9}}|>)"
_SPACE = r"(?:\s{1,9}|\+|%(?:25)*20)"

_SECRET = re.compile(
    rf"""
    (?P<named>
        (?: {_START} sig | passw(?:or)?d | passphrase | pwd | secret | sharedaccesssignature
        | [_-]token | accesstoken | identity[_-]header
        | (?: access | account | api | encryption | functions? | host | master | primary | private
            | sas | secondary | shared | signing | storage | subscription | system ) [_-]?key
        ) {_IS}
    |   (?: [?&] | amp; | u0026 | %(?:25)*(?:3F|26) ) (?: code | key | token ) {_EQUALS}
    |   token (?: (?: \\*["'] | %(?:25)*2[27] ) \s{{0,9}} {_EQUALS} \s{{0,9}} | = | %(?:25)*3D | > )
    |   {_START} (?: bearer | sharedkey | sharedkeylite ) (?: {_SPACE} | {_IS} )
    |   {_START} authorization {_IS} (?: [A-Za-z]{{1,30}} {_SPACE} )?
    )
    (?: \\+"[^"\\]*(?:\\+")? | "(?:\\.|[^"\\])*"? | '[^']*'? | [^\s"'<>&;]+ )
    |
    (?P<scheme> (?: https? )? (?: : | %(?:25)*3A ) (?: // | (?: %(?:25)*2F ){{2}} ) )
    (?P<user> [^\s/@"'<>]{{1,300}}? ) (?= @ | %(?:25)*40 )
    |
    (?: (?<![\w-]) | (?<=[0-9][0-9A-F]) ) eyJ[\w-]{{1,1000}} \. [\w.-]+
    |
    (?P<key> -----BEGIN[ ][A-Z ]{{0,30}}PRIVATE[ ]KEY----- ) [A-Za-z0-9+/=\s\\]*
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
"""What is secret, and how it is found: by its name, its scheme, its place in an address, its form.

It may be percent-encoded, more than once, or stand in JSON or HTML.
"""

_PASSWORD = re.compile(r":|%(?:25)*3A", re.IGNORECASE)

_HINTS = (
    "sig", "pass", "pwd", "secret", "token", "key", "header", "code", "bearer", "auth", "@", "%",
    "eyj",
)  # fmt: skip
"""One of these is in every text that holds a secret: most texts need no closer look."""


def redacted(text: str) -> str:
    """Return text as it may stand in a log, an event or the ledger: without secrets.

    Half a character, as services leave it when they cut a text, becomes a question mark: it could
    not be written.
    """
    small = text.lower()
    if any(hint in small for hint in _HINTS):
        text = _SECRET.sub(_starred, text)
    return text.encode("utf-8", "replace").decode()


def _starred(found: re.Match[str]) -> str:
    scheme, user = found["scheme"] or "", found["user"] or ""
    if scheme and scheme[0] in ":%" and not _PASSWORD.search(user):
        return found[0]  # wasbs://container@account
    return f"{found['named'] or scheme or found['key'] or ''}***"


def printable(text: str, *, but: str = "") -> str:
    """Return text with each character escaped that cannot be seen, or changes how others are shown.

    An escape sequence, a line break or a bidirectional override, in a file's name or in what a
    service says, would forge what people read. Characters of `but` stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in but else char.encode("unicode_escape").decode()
        for char in text
    )


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
    text = printable(redacted(str(value)))[:_LONGEST]
    if _PLAIN.fullmatch(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
