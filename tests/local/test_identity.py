"""The identity endpoint, called by Azure's own credentials."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from azure.identity.aio import DefaultAzureCredential

from local import identity as identity_part
from local.identity import Identity
from local.run_folder import RunFolder
from local.tokens import claims


@pytest.fixture
async def identity(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Identity]:
    async with identity_part.start(folder) as part:
        monkeypatch.setenv("IDENTITY_ENDPOINT", part.endpoint)
        monkeypatch.setenv("IDENTITY_HEADER", part.header)
        yield part


async def test_the_default_credential_gets_a_token_for_the_audience_it_asks_for(
    identity: Identity,
) -> None:
    async with DefaultAzureCredential(managed_identity_client_id="me") as credential:
        token = await credential.get_token("https://ml.azure.com/.default")
    found = claims(token.token)
    assert (found["aud"], found["appid"]) == ("https://ml.azure.com", "me")
    assert identity.requests == {"https://ml.azure.com": 1}


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("wrong", "resource=r&api-version=2019-08-01", 401),
        (None, "api-version=2019-08-01", 400),
        (None, "resource=r", 400),
    ],
)
async def test_a_request_that_app_service_would_refuse_is_refused(
    identity: Identity, header: str | None, query: str, status: int
) -> None:
    headers = {"X-IDENTITY-HEADER": header or identity.header}
    url = f"{identity.endpoint}?{query}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == status
