"""How what is deployed is reached: by identities over TLS, never by keys."""

import re

import pytest

from tests.infra.deployment import (
    SIZES,
    SUBSCRIPTION,
    deployed,
    snapshot,
    strings,
    template,
    the,
)

QUEUE = "Microsoft.Storage/storageAccounts/queueServices/queues"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
ACCOUNT = "Microsoft.Storage/storageAccounts"
# Each has a test, here, in test_delivery or in test_roles, or holds no data and no keys.
JUDGED = {
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.EventGrid/systemTopics",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions",
    "Microsoft.EventGrid/topics",
    "Microsoft.Insights/components",
    "Microsoft.Insights/metricAlerts",
    "Microsoft.Insights/scheduledQueryRules",
    "Microsoft.Insights/workbooks",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/managementPolicies",
    "Microsoft.Storage/storageAccounts/queueServices",
    "Microsoft.Web/serverfarms",
    "Microsoft.Web/sites",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    ACCOUNT,
    CONTAINER,
    QUEUE,
}


def test_nothing_asks_for_keys() -> None:
    documents = [template(), *(snapshot(size) for size in SIZES)]
    asking = re.compile(r"\blist[A-Za-z]*\(|\bAccountKey=|\bSharedAccess", re.IGNORECASE)
    assert [one for one in strings(documents) if asking.search(one)] == []


@pytest.mark.parametrize("size", SIZES)
def test_every_type_of_resource_is_judged(size: str) -> None:
    kinds = {one["type"] for one in snapshot(size)["predictedResources"]}
    assert kinds <= JUDGED


@pytest.mark.parametrize("size", SIZES)
def test_the_storage_account_takes_identities_over_tls_only(size: str) -> None:
    properties = the(size, ACCOUNT)["properties"]
    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["allowCrossTenantReplication"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert {one["properties"]["publicAccess"] for one in deployed(size, CONTAINER)} == {"None"}


@pytest.mark.parametrize("size", SIZES)
def test_the_app_is_reached_over_tls_only_and_deployed_without_passwords(size: str) -> None:
    properties = the(size, "Microsoft.Web/sites")["properties"]
    assert properties["httpsOnly"] is True
    site = {name: one for name, one in properties["siteConfig"].items() if name != "appSettings"}
    assert site == {"minTlsVersion": "1.2", "scmMinTlsVersion": "1.2"}  # Flex refuses some others
    ways = deployed(size, "Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {one["name"].rpartition("/")[2]: one["properties"] for one in ways} == {
        "ftp": {"allow": False},
        "scm": {"allow": False},
    }
    package = properties["functionAppConfig"]["deployment"]["storage"]["authentication"]
    assert package["type"] == "UserAssignedIdentity"


@pytest.mark.parametrize("size", SIZES)
def test_topic_and_logs_take_no_keys(size: str) -> None:
    topic = the(size, "Microsoft.EventGrid/topics")["properties"]
    assert topic["disableLocalAuth"] is True
    assert topic["minimumTlsVersionAllowed"] == "1.2"
    assert topic["inputSchema"] == "CloudEventSchemaV1_0"
    assert the(size, "Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
    workspace = the(size, "Microsoft.OperationalInsights/workspaces")["properties"]
    assert workspace["features"]["disableLocalAuth"] is True


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_created_twice(size: str) -> None:
    """A container may be named in several entries."""
    ids = [one["id"] for one in snapshot(size)["predictedResources"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("size", SIZES)
def test_all_is_created_in_the_subscription_of_the_deployment(size: str) -> None:
    for one in snapshot(size)["predictedResources"]:
        assert f"/subscriptions/{SUBSCRIPTION}/resourceGroups/" in one["id"]
