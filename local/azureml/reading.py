"""Reads the body of a PUT; mistakes are reported in ARM's form, with details."""

import re
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from local.azureml.answers import refused
from scoring.field_errors import field_error

_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
_CODES = {"unknown": "UnknownProperty", "missing": "MissingProperty", "invalid": "InvalidValue"}
_READ_ONLY = ("id", "name", "type", "systemData")

T = TypeVar("T")


class Mistake(msgspec.Struct, frozen=True):
    """One mistake in a body."""

    code: str
    message: str
    target: str


class InvalidBody(Exception):
    """The body is refused."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("; ".join(one.message for one in mistakes))
        self.mistakes = mistakes

    def answer(self) -> web.Response:
        """Return the refusal."""
        details = [msgspec.structs.asdict(one) for one in self.mistakes]
        return refused(400, "ValidationError", str(self), details=details)


async def read(request: web.Request, body: type[T], read_only: Collection[str] = ()) -> T:
    """Read a body.

    Properties that are `read_only` are ignored, so that a document from GET can be sent back. As in
    Azure, null counts as absent, numbers may be in quotes, and a trailing comma is accepted.

    Raises:
        InvalidBody: it is not JSON, or not of this type.
    """
    document = _document(await request.read())
    known = {name: value for name, value in document.items() if name not in _READ_ONLY}
    properties = known.get("properties")
    if isinstance(properties, dict):
        known["properties"] = {k: v for k, v in properties.items() if k not in read_only}
    try:
        return msgspec.convert(known, body, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidBody(_mistake(error)) from None


def check(mistakes: Iterator[Mistake]) -> None:
    """Raise InvalidBody if there is a mistake."""
    found = list(mistakes)
    if found:
        raise InvalidBody(*found)


def check_name(pattern: str, name: str, what: str = "name") -> None:
    """Raise InvalidBody if a name in the path is not valid."""
    if not re.fullmatch(pattern, name):
        raise InvalidBody(Mistake("InvalidName", f"{what}: {name!r} is not {pattern}", what))


def _document(body: bytes) -> dict[str, Any]:
    try:
        text = _TRAILING_COMMA.sub(lambda found: found[1] or "", body.decode())
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBody(Mistake("InvalidJson", f"The body is not JSON: {error}", "")) from None
    if not isinstance(document, dict):
        raise InvalidBody(Mistake("InvalidValue", "The body must be an object", ""))
    given = _without_nulls(document)
    assert isinstance(given, dict)
    return given


def _without_nulls(value: Any) -> Any:
    """Return a value without the properties that are null, at any depth."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def _mistake(error: msgspec.ValidationError) -> Mistake:
    wrong = field_error(error)
    message = f"{wrong.field}: {wrong.message}".removeprefix(": ")
    if wrong.kind != "invalid":
        message = f"{wrong.message} at {wrong.field}"
    return Mistake(_CODES[wrong.kind], message, wrong.field)
