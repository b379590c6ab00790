"""What the template and the product must agree on: settings, names, and which events come."""

import json

import pytest

from scoring.azure.ledger import folders, jobs
from scoring.errors import SetupError
from scoring.events.dead_letters import DeadLetterKind
from scoring.settings import (
    LANDINGS_QUEUE,
    POISON_QUEUE,
    Settings,
    poll_schedule,
    read_settings,
    sweep_schedule,
)
from tests.infra.deployment import SIZES, app_settings, as_in_azure, deployed, template, the
from tests.pages import ROOT
from tests.recording import Recording
from tests.worker.apps import BINDINGS

OF_THE_HOST = {
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
ENDED = {jobs._DONE, folders._TURNS, f"{DeadLetterKind.QUARANTINE}/"}
SUBSCRIPTIONS = deployed("largest", "Microsoft.EventGrid/systemTopics/eventSubscriptions")
LEFT_OUT = {  # optional, and given by `furtherSettings` where they are needed
    "AzureWebJobsStorage",  # a connection string is a secret
    "LANDFALL_ALLOWED_HOSTS",  # these four are of other clouds
    "LANDFALL_ARM_AUDIENCE",
    "LANDFALL_ARM_URL",
    "LANDFALL_ML_AUDIENCE",
    "LANDFALL_PACE",  # not for Azure
}


def read(size: str) -> Settings:
    return read_settings(as_in_azure(size))


def test_the_app_has_each_setting_that_is_read_and_no_other() -> None:
    environment = Recording(as_in_azure("smallest"))
    read_settings(environment)
    poll_schedule(environment)
    sweep_schedule(environment)
    assert set(environment) - OF_THE_HOST == environment.asked - LEFT_OUT
    assert set(environment) >= OF_THE_HOST
    assert environment.asked >= LEFT_OUT


def test_further_settings_come_to_the_others() -> None:
    assert set(app_settings("largest")) - set(app_settings("smallest")) == {"DATASTORE"}


@pytest.mark.parametrize("size", SIZES)
def test_the_settings_have_no_mistake_and_no_secret(size: str) -> None:
    settings = read(size)
    assert settings.storage.connection_string is None
    assert settings.client_id
    assert app_settings(size)["AzureWebJobsStorage__credential"] == "managedidentity"
    sign_in = app_settings(size)["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
    assert ";Authorization=AAD'" in sign_in


def test_the_settings_say_what_the_parameters_said() -> None:
    settings = read("largest")
    assert settings.workspace == "hearts"
    assert settings.resource_group == "scoring"
    assert settings.escaping == "percent-encoded"
    assert settings.metadata_prefix == "order_"
    assert (settings.poll_seconds, settings.sweep_minutes, settings.retention_days) == (30, 30, 365)


def test_the_defaults_are_those_of_the_settings() -> None:
    least = read("smallest")
    all_settings = as_in_azure("smallest").items()
    without = {name: one for name, one in all_settings if not name.startswith("LANDFALL_")}
    assert read_settings(without) == least


@pytest.mark.parametrize(
    ("parameter", "setting"),
    [("pollSeconds", "LANDFALL_POLL_SECONDS"), ("sweepMinutes", "LANDFALL_SWEEP_MINUTES")],
)
def test_the_allowed_times_are_those_that_the_app_takes(parameter: str, setting: str) -> None:
    taken = [number for number in range(61) if _takes(setting, str(number))]
    assert template()["parameters"][parameter]["allowedValues"] == taken


@pytest.mark.parametrize(("days", "taken"), [(29, False), (30, True), (3650, True), (3651, False)])
def test_the_allowed_retention_is_the_one_that_the_app_takes(days: int, taken: bool) -> None:
    parameter = template()["parameters"]["retentionDays"]
    assert (parameter["minValue"] <= days <= parameter["maxValue"]) is taken
    assert _takes("LANDFALL_RETENTION_DAYS", str(days)) is taken


def _takes(setting: str, value: str) -> bool:
    try:
        read_settings(as_in_azure("smallest") | {setting: value})
    except SetupError:
        return False
    return True


@pytest.mark.parametrize("size", SIZES)
def test_the_queues_are_those_of_the_app(size: str) -> None:
    queues = deployed(size, "Microsoft.Storage/storageAccounts/queueServices/queues")
    names = {one["name"].rpartition("/")[2] for one in queues}
    assert names == {LANDINGS_QUEUE, POISON_QUEUE}


@pytest.mark.parametrize("size", SIZES)
def test_the_containers_are_those_that_are_named_elsewhere(size: str) -> None:
    containers = deployed(size, "Microsoft.Storage/storageAccounts/blobServices/containers")
    package = the(size, "Microsoft.Web/sites")["properties"]["functionAppConfig"]["deployment"]
    assert package["storage"]["value"].endswith(".primaryEndpoints.blob, 'package')]")
    assert {one["name"].rpartition("/")[2] for one in containers} == {
        read(size).ledger_container,
        "package",
        "dead-letters",
    }


@pytest.mark.parametrize("size", SIZES)
def test_the_ledger_is_deleted_after_the_retention_where_it_has_ended(size: str) -> None:
    policy = the(size, "Microsoft.Storage/storageAccounts/managementPolicies")["properties"]
    (rule,) = policy["policy"]["rules"]
    settings = read(size)
    days = rule["definition"]["actions"]["baseBlob"]["delete"]
    assert days == {"daysAfterModificationGreaterThan": settings.retention_days}
    assert set(rule["definition"]["filters"]["prefixMatch"]) == {
        *(f"{settings.ledger_container}/{place}" for place in ENDED),
        "dead-letters/",
    }


def test_what_may_be_kept_running_are_the_functions_of_the_app() -> None:
    ready = template()["definitions"]["readyInstances"]["properties"]["name"]
    assert set(ready["allowedValues"]) == {f"function:{name}" for name in BINDINGS}


def test_a_message_waits_as_the_host_reads_it() -> None:
    """Event Grid's messages are base64 of JSON, or JSON: the host must not decode them."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert host["extensions"]["queues"]["messageEncoding"] == "none"
    for one in SUBSCRIPTIONS:
        queue = one["properties"]["deliveryWithResourceIdentity"]["destination"]["properties"]
        assert queue["queueName"] == LANDINGS_QUEUE
        assert queue["queueMessageTimeToLiveInSeconds"] == 7 * 24 * 3600
