"""Which field of a document msgspec refuses, and why.

msgspec reports that as one line of text only, e.g. "Expected `str`, got `int` - at `$.ready.marker`".
"""

import re
from typing import Literal

import msgspec

Kind = Literal["missing", "unknown", "invalid"]

_NAMED = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`")
_KINDS: dict[str, Kind] = {"missing required": "missing", "contains unknown": "unknown"}


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field."""

    kind: Kind
    field: str  # its path, e.g. `ready.marker` or `tags[...]`; empty: the whole document
    message: str  # msgspec's, without the path


def field_error(error: msgspec.ValidationError) -> FieldError:
    """Return the field that msgspec refuses, and its reason."""
    message, _, place = str(error).partition(" - at `$")
    field = place.rstrip("`").removeprefix(".")
    named = _NAMED.fullmatch(message)
    if named is None:
        return FieldError(kind="invalid", field=field, message=message)
    path = f"{field}.{named['name']}".removeprefix(".")
    return FieldError(kind=_KINDS[named["what"]], field=path, message=message)
