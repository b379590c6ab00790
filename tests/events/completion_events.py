"""What every event is held to: the schemas in docs/, more strictly.

The schema that subscribers have lets new fields and reason codes pass. Here they must not: a field
or a code that the schema does not name is one that no document names.
"""

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

_DOCS = Path(__file__).parents[2] / "docs"
SCHEMA: dict[str, Any] = json.loads((_DOCS / "completion-event.schema.json").read_text("utf-8"))
QUARANTINE_SCHEMA: dict[str, Any] = json.loads(
    (_DOCS / "quarantine-event.schema.json").read_text("utf-8")
)

# RFC 3986: nothing but its characters, and percent signs in escapes only.
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

# jsonschema brings no checkers of these formats without further packages.
_formats = FormatChecker(())


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("uri-reference")
def _is_uri_reference(value: object) -> bool:
    return not isinstance(value, str) or _URI_REFERENCE.fullmatch(value) is not None


@_formats.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (
        _is_uri_reference(value) and _SCHEME.match(value) is not None
    )


def strict(schema: Any) -> Any:
    """Return a schema as the tests use it: it knows every field and every reason code."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    stricter = {name: strict(one) for name, one in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        stricter["unevaluatedProperties"] = False
    if isinstance(schema.get("examples"), list):
        stricter["enum"] = schema["examples"]
    return stricter


LENIENT = Draft202012Validator(SCHEMA, format_checker=_formats)
"""The schema as it is, for what a subscriber would accept."""

STRICT = Draft202012Validator(strict(SCHEMA), format_checker=_formats)
QUARANTINE_LENIENT = Draft202012Validator(QUARANTINE_SCHEMA, format_checker=_formats)
QUARANTINE_STRICT = Draft202012Validator(strict(QUARANTINE_SCHEMA), format_checker=_formats)


def check_event(event: dict[str, Any] | bytes) -> None:
    """Hold a completion event to its schema.

    Raises:
        AssertionError: it breaks the schema, or has what the schema does not name.
    """
    document = _checked(event, STRICT)
    assert document["id"] == document["data"]["job"], "the id is the job's key"
    assert document["time"] == document["data"]["times"]["ended"], "the job's end"


def check_quarantine_event(event: dict[str, Any] | bytes) -> None:
    """Hold the event of a message in quarantine to its schema.

    Raises:
        AssertionError: it breaks the schema, or has what the schema does not name.
    """
    document = _checked(event, QUARANTINE_STRICT)
    assert document["id"] == document["data"]["message"], "the id is the message's digest"
    assert document["subject"] == f"/{document['data']['entry']}"
    assert document["data"]["entry"] == f"quarantine/{document['id']}"


def _checked(event: dict[str, Any] | bytes, validator: Draft202012Validator) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(event) if isinstance(event, bytes) else event
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert not wrong, "\n".join(wrong)
    return document


def places(document: dict[str, Any], within: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field of a document."""
    for name, value in document.items():
        yield (*within, name)
        if isinstance(value, dict):
            yield from places(value, (*within, name))


def changed(document: dict[str, Any], path: tuple[str, ...], value: Any = ...) -> dict[str, Any]:
    """Return a document with another value in a field; without it, the field is left out."""
    new: dict[str, Any] = copy.deepcopy(document)
    parent = new
    for name in path[:-1]:
        parent = parent[name]
    if value is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return new
