"""HTTP requests that carry a token of the app's identity, to hosts of their audience only."""

import asyncio
from typing import Any

import httpx

from scoring.azure.access import Access
from scoring.azure.answers import whole
from scoring.errors import SetupError

WITHIN = 30.0  # seconds for a whole answer, with a second try
CONNECT_WITHIN = 10.0

_LIMITS = httpx.Limits(
    max_connections=64,
    # A connection that the service is about to close must not be picked for a POST.
    keepalive_expiry=5.0,
)


def new_client(**options: Any) -> httpx.AsyncClient:
    """Return a client for one audience, so that no other waits for its connections.

    httpx's own transport tells a connection that was never made from one that broke later; its
    httpx-aiohttp twin does not. Redirects are not followed: a token must not follow them.
    """
    timeout = httpx.Timeout(WITHIN, connect=CONNECT_WITHIN)
    return httpx.AsyncClient(
        timeout=timeout,
        limits=_LIMITS,
        follow_redirects=False,
        headers={"Accept-Encoding": "gzip"},
        **options,
    )


class AuthorizedHttp:
    """Requests with a token for one audience."""

    def __init__(self, client: httpx.AsyncClient, access: Access) -> None:
        self._client = client
        self._access = access

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def authorize(self) -> None:
        """Get a token, so that the next request need not wait for one.

        Raises:
            NoToken: there is none.
        """
        await self._access.token()

    async def send(
        self, method: str, url: str, *, within: float = WITHIN, **request: Any
    ) -> httpx.Response:
        """Send a request; once more with a fresh token if it is answered 401, all in `within` seconds.

        Raises:
            SetupError: the host may not be sent a token, or nothing can be sent there.
            NoToken: there is none; nothing was sent, or nothing that was taken.
            Unavailable: a success has come that cannot be read.
            httpx.HTTPError, TimeoutError, OSError: as they come; see `scoring.azure.errors`.
        """
        until = asyncio.get_running_loop().time() + within
        return await self._access.send(
            url, lambda token: self._send(method, url, token, until, request)
        )

    async def _send(
        self, method: str, url: str, token: str, until: float, request: dict[str, Any]
    ) -> httpx.Response:
        headers = {**request.get("headers", {}), "Authorization": f"Bearer {token}"}
        try:
            ready = self._client.build_request(method, url, **{**request, "headers": headers})
        except (httpx.InvalidURL, TypeError, ValueError) as mistake:
            raise SetupError(f"{method} {url}: cannot be sent: {mistake}") from None
        async with asyncio.timeout_at(until) as limit:
            answer = await self._client.send(ready, stream=True)
            try:
                return await whole(answer, within=limit)
            finally:
                await answer.aclose()
