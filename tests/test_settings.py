"""App settings: what is read, and what is refused. docs/settings.md is held to it elsewhere."""

import pytest

from scoring.errors import SetupError
from scoring.settings import Settings, poll_schedule, read_settings, sweep_schedule

WHOLE = {
    "AzureWebJobsStorage__blobServiceUri": "https://app.blob.core.windows.net",
    "CompletionTopic__topicEndpointUri": "https://t.eventgrid.azure.net/api/events",
    "AZUREML_ARM_SUBSCRIPTION": "s",
    "AZUREML_ARM_RESOURCEGROUP": "a group",
    "AZUREML_ARM_WORKSPACE_NAME": "w",
}


def read(**changes: str) -> Settings:
    return read_settings(WHOLE | changes)


def test_the_identity_may_be_one_of_several() -> None:
    assert read().client_id is None
    assert read(AZURE_CLIENT_ID="c").client_id == "c"


def test_the_workspaces_id_can_stand_in_a_url() -> None:
    assert "/resourceGroups/a%20group/" in read().workspace_id


def test_a_landing_accounts_name_has_no_capitals() -> None:
    named = read(LandingStorage_Hearts__blobServiceUri="https://hearts.blob.core.windows.net")
    assert set(named.landing_storage) == {"hearts"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANDFALL_PACE", "0.004"),
        ("LANDFALL_PACE", "1.1"),
        ("LANDFALL_PACE", "fast"),
        ("LANDFALL_POLL_SECONDS", "7"),
        ("LANDFALL_POLL_SECONDS", "60"),
        ("LANDFALL_SWEEP_MINUTES", "45"),
        ("LANDFALL_RETENTION_DAYS", "29"),
        ("LANDFALL_RETENTION_DAYS", "for ever"),
        ("LANDFALL_DATASTORE_URIS", "maybe"),
        ("LANDFALL_METADATA_PREFIX", "order-"),
        ("LANDFALL_METADATA_PREFIX", "1_"),
        ("LANDFALL_METADATA_PREFIX", "x" * 33),
        ("LANDFALL_ALLOWED_HOSTS", "*.azure.com"),
        ("LANDFALL_ALLOWED_HOSTS", ","),
        ("LANDFALL_ARM_URL", "http://management.azure.com"),
        ("LANDFALL_ML_AUDIENCE", "ml.azure.com"),
        ("CompletionTopic__topicEndpointUri", "https://t.eventgrid.azure.net/?aeg-sas-key=k"),
        ("LandingStorage_a__blobServiceUri", "https://a.blob.core.windows.net?sig=s"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SetupError, match=name):
        read(**{name: value})


SECRET = "q7Tt0ken"
CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x"
ADDRESSES = [f"https://u:{SECRET}@a.example", f"https://a.example/?sig={SECRET}"]


VALUES = [CONNECTION, SECRET, f"{SECRET}=", "nan", *ADDRESSES]
REFUSED = {
    "AzureWebJobsStorage__blobServiceUri": VALUES,
    "LandingStorage_a": [SECRET, f"{SECRET}=", *ADDRESSES],
    "LandingStorage_a__blobServiceUri": VALUES,
    "CompletionTopic__topicEndpointUri": VALUES,
    "LANDFALL_ARM_URL": VALUES,
    "LANDFALL_ARM_AUDIENCE": VALUES,
    "LANDFALL_ML_AUDIENCE": VALUES,
    "LANDFALL_ALLOWED_HOSTS": [CONNECTION, f"{SECRET}=", *ADDRESSES],
    "LANDFALL_DATASTORE_URIS": VALUES,
    "LANDFALL_METADATA_PREFIX": [CONNECTION, f"{SECRET}=", *ADDRESSES],
    "LANDFALL_POLL_SECONDS": VALUES,
    "LANDFALL_SWEEP_MINUTES": VALUES,
    "LANDFALL_RETENTION_DAYS": VALUES,
    "LANDFALL_PACE": VALUES,
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_a_setting_that_is_refused_is_named_and_not_quoted(name: str, value: str) -> None:
    """Somebody may have put a secret into the wrong one."""
    with pytest.raises(SetupError, match=name) as told:
        read(**{name: value})
    assert SECRET not in str(told.value)
    assert told.value.__cause__ is None


def test_an_address_that_is_not_trusted_is_named_and_not_quoted() -> None:
    with pytest.raises(SetupError) as told:
        read(LANDFALL_ARM_URL=f"https://{SECRET}.example/{SECRET}")
    assert "LANDFALL_ARM_URL may not be sent a token" in str(told.value)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("pace", ["0.005", "1"])
def test_the_paces_at_either_end_are_taken(pace: str) -> None:
    assert read(LANDFALL_PACE=pace).pace == float(pace)


def test_a_sweep_of_each_minute_has_a_schedule_and_a_wrong_one_is_each_ten() -> None:
    assert sweep_schedule({"LANDFALL_SWEEP_MINUTES": "1"}) == "0 * * * * *"
    assert sweep_schedule({"LANDFALL_SWEEP_MINUTES": "x"}) == "0 */10 * * * *"


def test_a_poll_of_each_second_has_a_schedule() -> None:
    assert poll_schedule({"LANDFALL_POLL_SECONDS": "1"}) == "* * * * * *"
