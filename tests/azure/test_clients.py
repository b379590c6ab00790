"""The clients that the settings lead to: each has its own audience, and waits for nobody for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from local.credential import StaticCredential
from local.run_folder import RunFolder
from scoring.azure import clients as module
from scoring.azure import storage_transport
from scoring.azure.clients import EVENT_GRID_SCOPE, STORAGE_SCOPE, Clients
from scoring.azure.errors import asking
from scoring.errors import LandfallError, SetupError, Unavailable
from scoring.settings import Connection, read_settings
from tests.azure.wire import always, read_request, server

SECRET = "q7Tt0ken"
APP = {
    "AZUREML_ARM_SUBSCRIPTION": "s",
    "AZUREML_ARM_RESOURCEGROUP": "g",
    "AZUREML_ARM_WORKSPACE_NAME": "w",
    "LANDFALL_ALLOWED_HOSTS": "localhost",
}


class PerScope(StaticCredential):
    """Hands out tokens that tell whom they are for."""

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        token = await super().get_token()
        return AccessToken(f"for-{scopes[0]}", token.expires_on)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DefaultAzureCredential", lambda **_: PerScope(""))
    monkeypatch.setattr(storage_transport, "_ALL_TRIES_WITHIN", 1.0)


@pytest.fixture
async def parts(folder: RunFolder) -> AsyncIterator[dict[str, list[str]]]:
    """Four services on one machine, by URL; each notes the tokens that it is sent."""
    seen: dict[str, list[str]] = {}

    def noting(tokens: list[str]) -> Callable[..., Coroutine[Any, Any, None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head, _ = await read_request(reader)
                lines = (one for one in head.splitlines() if "authorization:" in one.lower())
                tokens.extend(one.split()[-1] for one in lines)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()

        return serve

    tls = folder.server_tls()
    lists: list[list[str]] = [[], [], [], []]
    async with (
        server(noting(lists[0]), tls) as arm,
        server(noting(lists[1]), tls) as ml,
        server(noting(lists[2]), tls) as topic,
        server(noting(lists[3]), tls) as blobs,
    ):
        seen.update(zip((arm, ml, topic, blobs), lists, strict=True))
        yield seen


async def test_whatever_address_an_answer_names_a_token_reaches_no_other_audience(
    parts: dict[str, list[str]],
) -> None:
    arm, ml, topic, blobs = parts
    settings = read_settings(
        APP
        | {
            "LANDFALL_ARM_URL": arm,
            "CompletionTopic__topicEndpointUri": topic,
            "AzureWebJobsStorage__blobServiceUri": blobs,
        }
    )
    clients = Clients(settings)
    for http in (clients.arm, clients.ml, clients.topic):
        for url in parts:
            await asyncio.gather(http.send("GET", f"{url}/x"), return_exceptions=True)
    for url in parts:
        try:
            async with asking("it"):
                service = clients.blob_service(Connection(blob_url=url))
                await service.get_blob_client("c", "b").delete_blob()
        except LandfallError:
            pass
    await clients.close()
    assert {url: set(tokens) for url, tokens in parts.items()} == {
        arm: {f"for-{settings.arm_scope}"},
        # It is no address of the settings: where pages of Azure Resource Manager may lead, too,
        # if it is asked through a proxy on the same machine.
        ml: {f"for-{settings.ml_scope}", f"for-{settings.arm_scope}"},
        topic: {f"for-{EVENT_GRID_SCOPE}"},
        blobs: {f"for-{STORAGE_SCOPE}"},
    }


def app(**changes: str) -> Clients:
    plain = {
        "AzureWebJobsStorage__blobServiceUri": "https://localhost:1/app",
        "CompletionTopic__topicEndpointUri": "https://localhost:2/api/events",
        "LANDFALL_ARM_URL": "https://localhost:3",
    }
    return Clients(read_settings(APP | plain | changes))


@pytest.mark.parametrize(
    "text",
    [
        f"AccountName=a;{SECRET}",
        f"BlobEndpoint=https://[{SECRET};SharedAccessSignature=sig",
    ],
)
async def test_a_connection_string_that_cannot_be_used_is_not_quoted(text: str) -> None:
    clients = app()
    with pytest.raises(SetupError) as told:
        clients.blob_service(Connection(name="AzureWebJobsStorage", connection_string=text))
    assert str(told.value) == "AzureWebJobsStorage is no connection string"
    await clients.close()


@pytest.mark.parametrize("by", ["identity", "connection string"])
async def test_a_storage_client_follows_no_redirect_and_has_a_time_for_all_its_tries(
    by: str, folder: RunFolder
) -> None:
    requests: list[str] = []

    async def moved(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append((await read_request(reader))[0])
            writer.write(b"HTTP/1.1 307 X\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    busy = always(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
    async with (
        server(moved, folder.server_tls()) as first,
        server(busy, folder.server_tls()) as second,
    ):
        for url in (first, second):
            clients = app(AzureWebJobsStorage__blobServiceUri=url)
            key = "c2VjcmV0"
            secret = f"AccountName=a;AccountKey={key};BlobEndpoint={url}"
            connection = (
                Connection(blob_url=url)
                if by == "identity"
                else Connection(name="x", connection_string=secret)
            )
            blob = clients.blob_service(connection).get_blob_client("c", "b")
            with pytest.raises(Unavailable):
                async with asyncio.timeout(5), asking("it"):
                    await blob.delete_blob()
            await clients.close()
    assert len(requests) == 1
