"""What the composition root refuses and names before anything is sent anywhere."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from scoring import services as composition
from scoring.azure.clients import Clients
from scoring.errors import SetupError
from scoring.ports import Services
from scoring.settings import Settings, read_settings
from scoring.version import VERSION
from tests.factories import place, route

SETTINGS = {
    "AzureWebJobsStorage__blobServiceUri": "https://app.blob.core.windows.net",
    "CompletionTopic__topicEndpointUri": "https://t.westeurope-1.eventgrid.azure.net/api/events",
    "AZUREML_ARM_SUBSCRIPTION": "s",
    "AZUREML_ARM_RESOURCEGROUP": "g",
    "AZUREML_ARM_WORKSPACE_NAME": "w",
}
ELSEWHERE = "https://evil.example/x"


def settings(**changes: str) -> Settings:
    return read_settings(SETTINGS | changes)


async def made(**changes: str) -> Services:
    said = settings(**changes)
    return composition.make(said, [], Clients(said))


async def test_with_addresses_that_are_trusted_the_services_are_made() -> None:
    assert (await made()).source.endswith("/workspaces/w")


@pytest.mark.parametrize(
    "setting",
    [
        "AzureWebJobsStorage__blobServiceUri",
        "CompletionTopic__topicEndpointUri",
        "LandingStorage_landingzone__blobServiceUri",
        "LANDFALL_ARM_URL",
    ],
)
async def test_an_address_that_is_not_trusted_stops_the_start(setting: str) -> None:
    with pytest.raises(SetupError, match=f"{setting} may not be sent a token: add"):
        await made(**{setting: ELSEWHERE})


async def test_a_landing_account_that_is_not_trusted_is_told_when_it_is_looked_at() -> None:
    services, there = await made(), place(account_url=ELSEWHERE)
    with pytest.raises(SetupError, match="may not be sent a token"):
        await services.storage.blob(there, "a.csv")
    with pytest.raises(SetupError, match="may not be sent a token"):
        await services.storage.folder(there, "a")


async def test_what_is_no_connection_string_is_named_by_its_setting() -> None:
    with pytest.raises(SetupError, match="AzureWebJobsStorage is no connection string"):
        await made(AzureWebJobsStorage="rubbish")


def test_routes_that_loop_in_one_container_are_left_out_though_their_datastores_differ() -> None:
    one = route(name="one", match="in/**", output="mid/{key}/p.csv")
    other = route(name="other", datastore="second", match="mid/**", output="out/{key}/p.csv")
    same = {"workspaceblobstore": place(), "second": place()}
    routes, mistakes = composition.good_routes([one, other], [], same)
    assert routes == [other]
    assert [mistake.route for mistake in mistakes] == ["one"]
    apart = same | {"second": place(container="d")}
    assert composition.good_routes([one, other], [], apart) == ([one, other], [])


def test_a_route_whose_datastore_is_missing_is_named_and_stays() -> None:
    lost = route(datastore="lost")
    routes, (mistake,) = composition.good_routes([lost], [], {})
    assert routes == [lost]
    assert "the workspace has no datastore 'lost' in blob storage" in str(mistake)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product's own routes.toml, and these settings, in a process that has seen no others."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    caches = (composition._made, composition._with_good_routes)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("app")
async def test_mistakes_are_told_once_for_each_change_of_the_datastores(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            composition._with_good_routes(frozenset())
        first = len(caplog.records)
        found = frozenset({("workspaceblobstore", place())})
        services = composition._with_good_routes(found)
    assert first == len(caplog.records) == 3, "the demo's three routes, whose datastore was missing"
    assert len(services.routes) == 3


@pytest.mark.usefixtures("app")
async def test_a_process_logs_once_which_version_it_is_and_how_many_routes_it_works_with(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        for datastores in (frozenset(), frozenset({("workspaceblobstore", place())})):
            composition._with_good_routes(datastores)
    assert caplog.messages[0] == f"started version={VERSION} routes=3"
    assert [line for line in caplog.messages[1:] if line.startswith("started")] == []


def test_settings_show_no_secret() -> None:
    shown = settings(AzureWebJobsStorage="AccountName=a;AccountKey=secret")
    assert "secret" not in repr(shown)
    assert msgspec.structs.replace(shown) == shown


@pytest.mark.parametrize(
    ("content", "says"), [(None, "put it beside function_app.py"), (b"\xff", "it is not UTF-8")]
)
def test_a_routes_file_that_cannot_be_read_is_named(
    content: bytes | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "routes.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SetupError, match=rf"routes\.toml: .*{says}"):
        composition.read_routes_file(file, {})


async def test_a_token_for_azure_resource_manager_goes_to_no_other_host() -> None:
    """Addresses of long operations and pages come in its answers."""
    said = settings()
    clients = Clients(said)
    with pytest.raises(SetupError, match="not one of its hosts"):
        await clients.arm.send("GET", "https://hearts.blob.core.windows.net/next")
    await clients.close()
