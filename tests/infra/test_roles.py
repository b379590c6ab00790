"""Who may do what: all roles, each the least, each given before it is needed."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.deployment import INFRA, SIZES, Resource, deployed, resources, template, the

QUEUE = "Microsoft.Storage/storageAccounts/queueServices/queues"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
ACCOUNT = "Microsoft.Storage/storageAccounts"
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "d5a91429-5739-47e2-a06b-3470a27159e7": "EventGrid Data Sender",
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": "Monitoring Reader",
    "19e7f393-937e-4f77-808e-94535e297925": "Storage Queue Data Reader",
}
GIVEN_ON = {
    "Storage Blob Data Owner": ACCOUNT,
    "Storage Blob Data Contributor": CONTAINER,
    "Storage Blob Data Reader": CONTAINER,
    "Storage Queue Data Contributor": QUEUE,
    "Storage Queue Data Message Sender": QUEUE,
    "EventGrid Data Sender": "Microsoft.EventGrid/topics",
    "AzureML Data Scientist": "Microsoft.MachineLearningServices/workspaces",
    "Monitoring Metrics Publisher": "Microsoft.Insights/components",
    "Monitoring Reader": "",  # the resource group
    "Storage Queue Data Reader": QUEUE,
}
SUBSCRIPTIONS = "Microsoft.EventGrid/systemTopics/eventSubscriptions"


def given(size: str) -> set[tuple[str, str, str]]:
    """Return (who, on what, role) of each role assignment; an identity by its name."""
    return {_given(one) for one in deployed(size, "Microsoft.Authorization/roleAssignments")}


def _given(assignment: Resource) -> tuple[str, str, str]:
    place = re.sub(r"^\[extensionResourceId\('([^']+)'.*", r"\1", assignment["id"])
    on = place.partition("/providers/Microsoft.Authorization/")[0].partition("/providers/")[2]
    properties = assignment["properties"]
    identity = re.match(r"\[reference\('([^']+)'", properties["principalId"])
    who = identity[1].rpartition("/")[2] if identity else properties["principalId"]
    assert (properties["principalType"] == "ServicePrincipal") is (identity is not None)
    return who, on, ROLES[properties["roleDefinitionId"].rpartition("/")[2]]


@pytest.mark.parametrize("size", SIZES)
def test_every_role_is_one_that_is_needed_and_given_on_no_more(size: str) -> None:
    for _, on, role in given(size):
        provider, *path = on.split("/")
        assert "/".join([provider, *path[::2]]) == GIVEN_ON[role]


def test_the_least_has_the_roles_that_the_app_needs() -> None:
    assert {role for _, _, role in given("smallest")} == {
        "Storage Blob Data Owner",
        "Storage Queue Data Contributor",
        "EventGrid Data Sender",
        "Monitoring Metrics Publisher",
        "AzureML Data Scientist",
    }


def test_who_delivers_may_send_to_the_queue_and_write_dead_letters() -> None:
    topics = {one["id"].split("/")[8] for one in deployed("largest", SUBSCRIPTIONS)}
    assert topics == {"evgst-hearts", "partners-events"}
    for topic in topics:
        theirs = {
            (on.rpartition("/")[2], role) for who, on, role in given("largest") if who == topic
        }
        assert theirs == {
            ("landings", "Storage Queue Data Message Sender"),
            ("dead-letters", "Storage Blob Data Contributor"),
        }


@pytest.mark.parametrize("start", ["2222", "3333"])
def test_operators_get_what_the_commands_need_of_what_is_the_apps(start: str) -> None:
    """And nothing on what was there before."""
    theirs = {
        (on.rpartition("/")[2], role) for who, on, role in given("largest") if who.startswith(start)
    }
    topic = the("largest", "Microsoft.EventGrid/topics")["name"]
    assert theirs == {
        ("landfall-ledger", "Storage Blob Data Contributor"),
        ("dead-letters", "Storage Blob Data Reader"),
        ("landings", "Storage Queue Data Reader"),
        ("landings-poison", "Storage Queue Data Reader"),
        (topic, "EventGrid Data Sender"),
        ("", "Monitoring Reader"),
    }


def test_where_files_land_is_read_and_where_outputs_go_is_written() -> None:
    on_containers = {
        ("/".join(on.split("/")[2::4]), role)
        for who, on, role in given("largest")
        if who.startswith("id-landfall-") and "/containers/" in on
    }
    reader, writer = "Storage Blob Data Reader", "Storage Blob Data Contributor"
    assert on_containers == {
        ("hearts/landing", reader),
        ("hearts/inbox", reader),
        ("hearts/landing", writer),
        ("partners/drop", reader),
        ("partners/drop", writer),
        ("archive/scored", writer),
    }


def test_all_role_assignments_are_in_one_file_and_each_says_what_breaks_without_it() -> None:
    for source in INFRA.rglob("*.bicep"):
        lines = source.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            if line.startswith("resource ") and "'Microsoft.Authorization/roleAssignments@" in line:
                assert source.name == "roles.bicep"
                reason = _comment_above(lines, number)
                assert reason.startswith("// Without it"), line


def _comment_above(lines: list[str], number: int) -> str:
    first = number
    while lines[first - 1].startswith("//"):
        first -= 1
    return " ".join(lines[first:number])


def _gives_roles(module: Mapping[str, Any]) -> bool:
    inner = resources(module["properties"]["template"]).values()
    return any(one["type"] == "Microsoft.Authorization/roleAssignments" for one in inner)


def test_roles_are_given_before_what_needs_them() -> None:
    modules = {
        name: one
        for name, one in resources(template()).items()
        if one["type"] == "Microsoft.Resources/deployments"
    }
    giving = {name for name, one in modules.items() if _gives_roles(one)}
    app = set(modules["app"]["dependsOn"])
    assert giving - app == {"rolesOfDelivery", "rolesOfOperators"}  # people come later
    events = modules["subscriptions"]["dependsOn"]
    assert {"app", "[format('rolesOfDelivery[{0}]', copyIndex())]"} <= set(events)
