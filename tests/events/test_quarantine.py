"""The event of a message in quarantine: code, schema and docs/events.md agree."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.events.quarantine import DATA_SCHEMA, TYPE, QuarantineEvent, quarantine_event
from tests.events.completion_events import (
    QUARANTINE_LENIENT,
    QUARANTINE_SCHEMA,
    QUARANTINE_STRICT,
    changed,
    check_quarantine_event,
    places,
    strict,
)
from tests.factories import NOW

DOCS = Path(__file__).parents[2] / "docs"
SECTION = (DOCS / "events.md").read_text("utf-8").partition("\n## Messages in quarantine\n")[2]
SOURCE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/scoring"
    "/providers/Microsoft.MachineLearningServices/workspaces/hearts"
)
KEPT = DeadLetter(
    kind=DeadLetterKind.QUARANTINE,
    digest="4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358",
    since=NOW,
    reason="not a storage event: Object missing required field `topic`",
    size=17,
    announced=False,
    version="0x1",
)
EVENT: dict[str, Any] = json.loads(quarantine_event(KEPT, SOURCE))


def test_the_event_validates_and_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(QUARANTINE_SCHEMA)
    Draft202012Validator.check_schema(strict(QUARANTINE_SCHEMA))
    check_quarantine_event(EVENT)
    assert QUARANTINE_SCHEMA["$id"] == DATA_SCHEMA
    assert QUARANTINE_SCHEMA["required"] == [*QuarantineEvent.__struct_fields__]


def test_every_copy_has_the_same_bytes_before_the_mark_and_after_it() -> None:
    marked = msgspec.structs.replace(KEPT, announced=True, version="0x2")
    assert quarantine_event(marked, SOURCE) == quarantine_event(KEPT, SOURCE)


@pytest.mark.parametrize("path", list(places(EVENT)), ids=".".join)
def test_an_event_without_one_of_its_fields_or_with_a_wrong_one_is_none(
    path: tuple[str, ...],
) -> None:
    assert not QUARANTINE_LENIENT.is_valid(changed(EVENT, path))
    values: list[Any] = [[], 1.5, -1, None, {}]
    for wrong in values:
        assert not QUARANTINE_LENIENT.is_valid(changed(EVENT, path, wrong))


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("id", "0" * 24),
        ("type", "Landfall.JobFailed"),
        ("subject", "/stuck/" + "0" * 64),
        ("time", "2026-11-24T12:00:00"),
        ("dataschema", "urn:landfall:completion-event:1"),
        ("data.reason.message", "x" * 501),
        ("data.entry", "quarantine/"),
    ],
)
def test_a_value_that_the_code_never_gives_is_told(path: str, wrong: str) -> None:
    assert not QUARANTINE_LENIENT.is_valid(changed(EVENT, tuple(path.split(".")), wrong))


@pytest.mark.parametrize("within", [(), ("data",), ("data", "reason")])
def test_a_new_field_passes_a_subscribers_validator_but_not_the_tests(
    within: tuple[str, ...],
) -> None:
    grown = changed(EVENT, (*within, "new"), "x")
    assert QUARANTINE_LENIENT.is_valid(grown)
    assert not QUARANTINE_STRICT.is_valid(grown)


def test_the_documents_example_is_what_the_code_makes() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)
    assert json.loads(shown) == EVENT, json.dumps(EVENT, indent=2)
    assert TYPE in SECTION


def test_the_document_has_a_row_for_each_field_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| [^|]+ \| [^|]+ \|$", SECTION, re.MULTILINE)
    # The rest of the envelope is that of completion events.
    shared = {"specversion", "source", "datacontenttype", "data"}
    assert rows == [name for path in places(EVENT) if (name := ".".join(path)) not in shared]
