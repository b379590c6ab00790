"""What the storage clients send their requests with: a time and a size for each whole answer.

The client library waits from one byte to the next, unpacks what it is sent, and asks for a token
for whatever a 401 names. So its own authentication is not used, and its answers are read here.
Not bounded here is the body of a download, which is a stream; the ledger's have a time as a whole.
"""

import asyncio
import codecs
from typing import Any

import aiohttp
from azure.core.exceptions import ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ExponentialRetry

from scoring.azure.access import Access

_WITHIN = 20.0  # seconds for a whole answer
_CONNECT_WITHIN = 10.0
_GAP = 20.0  # between two pieces of a stream
_ALL_TRIES_WITHIN = 45.0
_SLOWEST = 50_000  # bytes a second that a request with a body is given on top
_LARGEST = 64 * 1024 * 1024  # bytes of an answer: a listing of 5,000 blobs with their metadata
_LARGEST_REFUSAL = 64 * 1024
_REFUSAL_WITHIN = 5.0  # seconds for the body of a refusal, whose status is known already
_FIRST_REFUSAL = 300
_BEFORE_XML = codecs.BOM_UTF8 + b" \t\r\n"


class StorageTransport(AioHttpTransport):  # type: ignore[misc]  # it is made on demand
    """Sends the requests of one client; with an access each carries a token."""

    session: aiohttp.ClientSession | None

    def __init__(self, access: Access | None = None) -> None:
        super().__init__(connection_timeout=_CONNECT_WITHIN, read_timeout=_GAP)
        self._access = access

    async def open(self) -> None:
        """Open the connections, whose answers are read within bounds."""
        if self.session is None:
            self.session = aiohttp.ClientSession(
                trust_env=True,  # as the library's own: proxies
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                response_class=_Bounded,
            )
        await super().open()

    async def send(self, request: Any, *, stream: bool = False, **config: Any) -> Any:
        """Send a request; once more with a fresh token if it is refused for its token."""
        if self._access is None:
            return await self._send(request, stream=stream, config=config)

        async def authorized(token: str) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return await self._send(request, stream=stream, config=config)

        return await self._access.send(request.url, authorized)

    async def _send(self, request: Any, *, stream: bool, config: dict[str, Any]) -> Any:
        within = _WITHIN + _extra(request)
        if not stream:
            config["read_timeout"] = within
        try:
            async with asyncio.timeout(within) as limit:
                answer = await super().send(request, stream=True, **config)
                is_refusal = answer.status_code >= _FIRST_REFUSAL
                if is_refusal:
                    limit.reschedule(None)  # its body has a limit of its own
                if is_refusal or not stream:
                    await answer.read()
                return answer
        except TimeoutError as slow:
            raise _no_answer(within, slow) from slow


class BoundedRetry(ExponentialRetry):
    """Few and short retries, because poll and the queue try again, in a limited time together."""

    def __init__(self) -> None:
        super().__init__(initial_backoff=1, increment_base=2, random_jitter_range=1, retry_total=3)

    async def send(self, request: Any) -> Any:  # type: ignore[override]  # the base's is not typed
        """Send a request until there is a usable answer, or no time left."""
        within = _ALL_TRIES_WITHIN + _extra(request.http_request)
        try:
            async with asyncio.timeout(within):
                return await super().send(request)  # type: ignore[no-untyped-call]
        except TimeoutError as slow:
            raise _no_answer(within, slow) from slow


class _Bounded(aiohttp.ClientResponse):
    """An answer whose body is read within bounds."""

    async def read(self) -> bytes:
        """Return the body; of a refusal what is usable of it, for its status counts."""
        if self.status < _FIRST_REFUSAL:
            return await self._all_of(_LARGEST)
        try:
            async with asyncio.timeout(_REFUSAL_WITHIN):
                body = await self._all_of(_LARGEST_REFUSAL)
        except (TimeoutError, aiohttp.ClientError):
            return b""
        # What is no XML the library takes for JSON, and stumbles over more than its syntax.
        return body if body.lstrip(_BEFORE_XML).startswith(b"<") else b""

    async def _all_of(self, most: int) -> bytes:
        body = bytearray()
        try:
            async for piece in self.content.iter_any():
                body += piece
                self._check(len(body), most)
        except BaseException:
            self.close()
            raise
        return bytes(body)

    def _check(self, length: int, most: int) -> None:
        if length > most or "Content-Encoding" in self.headers:
            raise aiohttp.ClientPayloadError(f"more than {most} bytes, or packed")


def _extra(request: Any) -> float:
    """Return the seconds that a request may take longer because of what it sends."""
    return int(request.headers.get("Content-Length") or 0) / _SLOWEST


def _no_answer(within: float, slow: TimeoutError) -> ServiceResponseTimeoutError:
    return ServiceResponseTimeoutError(f"no whole answer within {within:.0f} s", error=slow)
