"""Idempotent requests: each is sent until there is a usable answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpx

from scoring.azure.answers import as_kind, json_in, parts, retry_after
from scoring.azure.errors import ANOTHER_SHAPE
from scoring.azure.http import AuthorizedHttp
from scoring.azure.reasons import what_it_says
from scoring.cli import backoff
from scoring.cli.failures import Refused
from scoring.errors import Unavailable

_TRIES = 6
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class Conflict(Refused):
    """409: another operation runs on the resource, or it cannot be changed like this."""

    maybe_ours = False  # whether that operation may be an earlier try, whose answer was lost


class _TransientFailure(Exception):
    """There was no usable answer; another try may get one."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds that the service asks to wait


class RetryingHttp:
    """Sends a request again while the service is busy, or does not answer.

    Every method raises `Refused` with the service's code and message, and `Unavailable` when there
    is no usable answer after all tries.
    """

    def __init__(
        self, http: AuthorizedHttp, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._http = http
        self._sleep = sleep

    async def send(
        self,
        method: str,
        url: str,
        *,
        json: dict[str, Any] | None = None,
        missing_is_fine: bool = False,
    ) -> httpx.Response:
        """Send a request until there is a usable answer."""
        waits = backoff.RETRIES.waits()
        for try_ in range(1, _TRIES + 1):
            try:
                return await self._try(method, url, json, missing_is_fine=missing_is_fine)
            except _TransientFailure as failure:
                if try_ == _TRIES:
                    message = f"{method} {url}: {failure}, after {_TRIES} tries"
                    raise Unavailable(message) from None
                await self._sleep(max(next(waits), failure.retry_after))
            except Conflict as conflict:
                conflict.maybe_ours = try_ > 1
                raise
        raise AssertionError("the last try returns or raises")

    async def _try(
        self, method: str, url: str, json: dict[str, Any] | None, *, missing_is_fine: bool
    ) -> httpx.Response:
        try:
            answer = await self._http.send(method, url, json=json)
        except (httpx.HTTPError, OSError, *ANOTHER_SHAPE) as failure:
            raise _TransientFailure(f"{type(failure).__name__}: {failure}".rstrip(": ")) from None
        missing = answer.status_code == httpx.codes.NOT_FOUND
        if answer.is_success or (missing and missing_is_fine):
            return answer
        if answer.status_code in _TRANSIENT:
            message = f"{answer.status_code}: {what_it_says(answer)}"
            raise _TransientFailure(message, retry_after(answer))
        raise refusal(answer)

    async def get(self, url: str) -> dict[str, Any] | None:
        """Return the document at a URL; None if there is none."""
        answer = await self.send("GET", url, missing_is_fine=True)
        return None if answer.status_code == httpx.codes.NOT_FOUND else document_in(answer)

    async def listed(self, url: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of a listing, page by page."""
        async for part in parts(partial(self.send, "GET"), url, f"GET {url}"):
            for item in part:
                yield as_kind(item, dict[str, Any], f"GET {url}")


def document_in(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of an answer; raises `Unavailable` if it has none."""
    document = json_in(answer)
    if not isinstance(document, dict):
        raise Unavailable(
            f"{answer.request.method} {answer.request.url}: the answer is no JSON object"
        )
    return document


def refusal(answer: httpx.Response) -> Refused:
    """Return an error answer as the failure of a command."""
    document = json_in(answer)
    error = document.get("error") if isinstance(document, dict) else None
    url = answer.request.url.path
    path = url.rpartition("/workspaces/")[2].partition("/")[2] or url
    kind = Conflict if answer.status_code == httpx.codes.CONFLICT else Refused
    return kind(
        f"{answer.request.method} {path}: {answer.status_code}: {what_it_says(answer)}",
        status=answer.status_code,
        code=error.get("code") if isinstance(error, dict) else None,
    )
