"""docs/asyncapi.yaml is an AsyncAPI document, and its messages are the events that are published."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator
from referencing import Registry, Resource

from scoring.events.completion import TYPES
from scoring.events.quarantine import TYPE
from tests.events.completion_events import QUARANTINE_SCHEMA, SCHEMA
from tests.infra.events import EXAMPLES
from tests.pages import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
SPECIFICATION = ROOT / "tests/infra/node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"
PAYLOADS: Registry[Any] = Registry().with_resources(
    [
        ("completion-event.schema.json", Resource.from_contents(SCHEMA)),
        ("quarantine-event.schema.json", Resource.from_contents(QUARANTINE_SCHEMA)),
    ]
)


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    """The specification's own schema; `make test` installs it."""
    return Draft7Validator(json.loads(SPECIFICATION.read_text("utf-8")))


def test_the_document_is_one_of_asyncapi_3(specification: Draft7Validator) -> None:
    assert [error.message for error in specification.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("info"),
        lambda document: document["operations"]["announceEnd"].update(action="publish"),
        lambda document: document["channels"]["events"].update(adress="/"),
        lambda document: document["components"]["messages"]["JobFailed"].update(payloads={}),
    ],
)
def test_a_document_with_a_mistake_is_none(
    specification: Draft7Validator, spoil: Callable[[dict[str, Any]], None]
) -> None:
    document = copy.deepcopy(DOCUMENT)
    spoil(document)
    assert not specification.is_valid(document)


def test_its_messages_are_the_types_of_the_events() -> None:
    published = {*TYPES.values(), TYPE}
    assert {message["name"] for message in MESSAGES.values()} == published
    assert {f"Landfall.{name}" for name in MESSAGES} == published


def test_each_is_in_the_channel_and_in_one_operation() -> None:
    channel = DOCUMENT["channels"]["events"]["messages"]
    assert channel == {name: {"$ref": f"#/components/messages/{name}"} for name in MESSAGES}
    sent = [one["$ref"] for each in DOCUMENT["operations"].values() for one in each["messages"]]
    assert sorted(sent) == sorted(f"#/channels/events/messages/{name}" for name in MESSAGES)


@pytest.mark.parametrize("event", EXAMPLES, ids=[event["type"] for event in EXAMPLES])
def test_an_event_is_the_message_of_its_type_and_no_other(event: dict[str, Any]) -> None:
    fits = [
        message["name"]
        for message in MESSAGES.values()
        if Draft202012Validator(message["payload"], registry=PAYLOADS).is_valid(event)
    ]
    assert fits == [event["type"]]
