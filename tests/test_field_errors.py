"""What msgspec refuses, as a field and a reason."""

from typing import Any

import msgspec
import pytest

from scoring.field_errors import FieldError, field_error


class Ready(msgspec.Struct, forbid_unknown_fields=True):
    marker: str
    tags: dict[str, str] = {}


class Route(msgspec.Struct, forbid_unknown_fields=True):
    ready: Ready
    sizes: list[int] = []


READY = {"marker": "done"}


@pytest.mark.parametrize(
    ("document", "kind", "field", "message"),
    [
        (7, "invalid", "", "Expected `object`, got `int`"),
        ({}, "missing", "ready", "Object missing required field `ready`"),
        ({"ready": {}}, "missing", "ready.marker", "Object missing required field `marker`"),
        ({"ready": READY, "new": 1}, "unknown", "new", "Object contains unknown field `new`"),
        (
            {"ready": {**READY, "new": 1}},
            "unknown",
            "ready.new",
            "Object contains unknown field `new`",
        ),
        ({"ready": {"marker": 7}}, "invalid", "ready.marker", "Expected `str`, got `int`"),
        ({"ready": READY, "sizes": ["x"]}, "invalid", "sizes[0]", "Expected `int`, got `str`"),
        (
            {"ready": {**READY, "tags": {"a": 1}}},
            "invalid",
            "ready.tags[...]",
            "Expected `str`, got `int`",
        ),
    ],
)
def test_an_error_names_the_path_of_the_field_and_the_reason(
    document: Any, kind: Any, field: str, message: str
) -> None:
    assert _error(document, Route) == FieldError(kind=kind, field=field, message=message)


def test_a_list_of_documents_is_a_path_as_well() -> None:
    assert _error([READY, {}], list[Ready]).field == "[1].marker"


def test_of_a_key_that_is_wrong_msgspecs_own_words_stay() -> None:
    error = _error({7: "x"}, dict[str, str])

    assert error == FieldError(
        kind="invalid", field="", message="Expected `str`, got `int` - at `key` in `$`"
    )


def _error(document: Any, kind: Any) -> FieldError:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(document, kind)
    return field_error(refused.value)
