"""Which events come to the queue, and how."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scoring.events.storage import COMMITTING_APIS, Ignored, read_message
from tests.infra.deployment import Resource, deployed, resources, template, the
from tests.pages import ROOT

KIND = "Microsoft.EventGrid/systemTopics/eventSubscriptions"
SUBSCRIPTIONS = deployed("largest", KIND)
PAYLOADS = sorted((ROOT / "tests" / "payloads").glob("event-grid-*.json"))
CONTAINER = "/blobServices/default/containers/landing/blobs/"


def of(topic: str) -> list[Resource]:
    return [one for one in SUBSCRIPTIONS if one["name"].startswith(f"{topic}/")]


def comes(event: Mapping[str, Any], topic: str = "evgst-hearts") -> bool:
    """Filter as Event Grid documents it: all filters must fit, of one any value, in any case."""
    return any(_fits(event, one["properties"]["filter"]) for one in of(topic))


def _fits(event: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    if event["eventType"] not in chosen["includedEventTypes"]:
        return False
    return all(_fits_one(event, one) for one in chosen["advancedFilters"])


def _fits_one(event: Mapping[str, Any], advanced: Mapping[str, Any]) -> bool:
    found: Any = event
    for name in advanced["key"].split("."):
        found = found.get(name, "")
    values = [value.lower() for value in advanced["values"]]
    if advanced["operatorType"] == "StringIn":
        return found.lower() in values
    assert advanced["operatorType"] == "StringBeginsWith"
    return any(found.lower().startswith(value) for value in values)


def event(payload: str | Path, path: str) -> dict[str, Any]:
    """Return a payload that tells of a path in the container `landing`."""
    file = ROOT / "tests" / "payloads" / payload
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return (told[0] if isinstance(told, list) else told) | {"subject": CONTAINER + path}


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda path: path.stem)
def test_what_comes_is_what_the_app_takes(payload: Path) -> None:
    told = event(payload, "landing/cancer/a.csv")
    (read_as,) = read_message(json.dumps(told).encode())
    assert comes(told) != isinstance(read_as, Ignored)


def test_the_committing_apis_are_those_of_the_app() -> None:
    for one in SUBSCRIPTIONS:
        apis = [
            set(advanced["values"])
            for advanced in one["properties"]["filter"]["advancedFilters"]
            if advanced["key"] == "data.api"
        ]
        assert apis == ([COMMITTING_APIS] if one["name"].endswith("-created") else [])


def test_what_lands_elsewhere_does_not_come() -> None:
    assert not comes(event("event-grid-put-blob.json", "scored/cancer/a.csv"))
    other = event("event-grid-put-blob.json", "landing/cancer/a.csv")
    other["subject"] = other["subject"].replace("/landing/blobs/", "/scored/blobs/")
    assert not comes(other)


def test_a_container_without_prefixes_is_watched_whole() -> None:
    told = event("event-grid-put-blob.json", "any/path.csv")
    told["subject"] = told["subject"].replace("/landing/blobs/", "/inbox/blobs/")
    assert comes(told)


@pytest.mark.parametrize("path", ["landing", "landing/cancer", "landing/cancer/day"])
def test_a_directory_that_is_renamed_to_a_watched_one_or_its_parent_comes(path: str) -> None:
    """No sweep would find its files: renames keep their time."""
    assert comes(event("event-grid-directory-renamed.json", path))


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS, ids=lambda one: one["name"])
def test_the_filters_are_within_the_limits_of_event_grid(subscription: Resource) -> None:
    filters = subscription["properties"]["filter"]["advancedFilters"]
    assert sum(len(one["values"]) for one in filters) <= 25
    assert all(len(value) <= 512 for one in filters for value in one["values"])


def test_no_parameter_can_go_beyond_the_25_values_that_event_grid_takes() -> None:
    module = resources(template())["subscriptions"]["properties"]["template"]["parameters"]
    assert module["subjects"]["maxLength"] + len(COMMITTING_APIS) == 25
    assert module["containerSubjects"]["maxLength"] == 25


# --- how they are delivered ---------------------------------------------------------------------


def test_nothing_is_subscribed_to_where_nothing_lands() -> None:
    assert deployed("smallest", KIND) == []


def test_a_new_system_topic_has_an_identity_and_an_existing_one_stays_as_it_is() -> None:
    topic = the("largest", "Microsoft.EventGrid/systemTopics")
    assert topic["name"] == "evgst-hearts"
    assert topic["identity"] == {"type": "SystemAssigned"}


@pytest.mark.parametrize("subscription", SUBSCRIPTIONS, ids=lambda one: one["name"])
def test_events_are_delivered_by_identity_and_never_dropped(subscription: Resource) -> None:
    properties = subscription["properties"]
    assert "destination" not in properties
    assert "deadLetterDestination" not in properties
    for way, end in (
        ("deliveryWithResourceIdentity", "destination"),
        ("deadLetterWithResourceIdentity", "deadLetterDestination"),
    ):
        assert properties[way]["identity"] == {"type": "SystemAssigned"}
        account = properties[way][end]["properties"]["resourceId"]
        assert account == the("largest", "Microsoft.Storage/storageAccounts")["id"]
    assert properties["retryPolicy"] == {
        "eventTimeToLiveInMinutes": 1440,
        "maxDeliveryAttempts": 30,
    }
