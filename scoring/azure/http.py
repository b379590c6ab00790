"""HTTP requests that carry a token of the app's identity, to allowed hosts only."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from scoring.azure.identity import Identity
from scoring.errors import SetupError
from scoring.uris import may_receive_token

TIMEOUT = httpx.Timeout(30.0, connect=10.0)

_TOKEN_WITHIN = 30.0  # seconds

_LIMITS = httpx.Limits(
    max_connections=64,
    # A connection that the service is about to close must not be picked for a POST.
    keepalive_expiry=5.0,
)


def new_client(timeout: httpx.Timeout = TIMEOUT) -> httpx.AsyncClient:
    """Return the client that all requests to Azure ML go through.

    httpx's own transport tells a connection that was never made from one that broke later; its
    httpx-aiohttp twin does not. Redirects are not followed: a token must not follow them.
    """
    return httpx.AsyncClient(timeout=timeout, limits=_LIMITS, follow_redirects=False)


class AuthorizedHttp:
    """Requests with a token for one audience."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        identity: Identity,
        scope: str,
        allowed_hosts: tuple[str, ...],
    ) -> None:
        self._client = client
        self._identity = identity
        self._scope = scope
        self._allowed_hosts = allowed_hosts

    async def authorize(self) -> None:
        """Get a token, so that the next request need not wait for one.

        Raises:
            TimeoutError: there was none within 30 seconds.
            azure.core.exceptions.AzureError: there is none.
        """
        async with asyncio.timeout(_TOKEN_WITHIN):
            await self._identity.get_token(self._scope)

    async def send(self, method: str, url: str, **request: Any) -> httpx.Response:
        """Send a request; once more with a fresh token if it is answered 401.

        Raises:
            SetupError: the host may not be sent a token; nothing was sent.
            httpx.HTTPError, azure.core.exceptions.AzureError: as they come; see `azure_errors`.
        """
        if not may_receive_token(url, self._allowed_hosts):
            raise SetupError(
                f"{url} may not be sent a token: it is not https, or its host is not among"
                f" {', '.join(self._allowed_hosts)}: see LANDFALL_ALLOWED_HOSTS, for Azure Resource"
                " Manager LANDFALL_ARM_URL"
            )
        token = (await self._identity.get_token(self._scope)).token
        answer = await self._send(method, url, token, request)
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return answer
        fresh = await self._identity.token_other_than(token, self._scope)
        return await self._send(method, url, fresh, request)

    async def _send(
        self, method: str, url: str, token: str, request: dict[str, Any]
    ) -> httpx.Response:
        headers = {**request.get("headers", {}), "Authorization": f"Bearer {token}"}
        return await self._client.request(method, url, **{**request, "headers": headers})


def json_in(answer: httpx.Response) -> Any:
    """Return the document of an answer; None if it is no JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def retry_after(answer: httpx.Response) -> float:
    """Return the seconds to wait, 0 if nothing is said; a time counts from the answer's own Date."""
    said = answer.headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, wait.total_seconds())


def what_it_says(answer: httpx.Response) -> str:
    """Return the message of an error answer, in one line.

    Azure ML answers in ARM's shape, with a list of validation errors, or in plain text.
    """
    try:
        document = answer.json()
    except ValueError:
        return " ".join(answer.text.split())[:500]
    return _message(document)[:500]


def _message(document: Any) -> str:
    if isinstance(document, list):
        return "; ".join(_message(one) for one in document)
    if not isinstance(document, dict):
        return str(document)
    if isinstance(document.get("error"), dict):
        return _message(document["error"])
    if "ErrorMessage" in document:
        return f"{document.get('PropertyName', '')}: {document['ErrorMessage']}".lstrip(": ")
    return ": ".join(str(document[name]) for name in ("code", "message") if document.get(name))
