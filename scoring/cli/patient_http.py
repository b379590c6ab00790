"""Requests that mean the same when they are sent twice: they are sent until there is an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import httpx

from scoring.azure.answers import as_kind, json_in, parts, retry_after
from scoring.azure.errors import ANOTHER_SHAPE
from scoring.azure.http import AuthorizedHttp
from scoring.azure.reasons import what_it_says
from scoring.cli.failures import Refused
from scoring.errors import Unavailable

_TRIES = 6
_FIRST_WAIT = 0.5  # seconds; doubles
_LONGEST_WAIT = 15.0
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class Conflict(Refused):
    """409: something else happens to the resource, or it cannot be changed so."""

    maybe_ours = False  # whether an earlier try, whose answer was lost, may be what happens


class PatientHttp:
    """Every method raises `Refused` with the service's code and message.

    `Unavailable` says that there was no usable answer after all tries.
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
        wait, last = _FIRST_WAIT, "no answer"
        for try_ in range(1, _TRIES + 1):
            asked_to_wait = 0.0
            try:
                answer = await self._http.send(method, url, json=json)
            except (httpx.HTTPError, OSError, *ANOTHER_SHAPE) as failure:
                last = f"{type(failure).__name__}: {failure}".rstrip(": ")
            else:
                missing = answer.status_code == httpx.codes.NOT_FOUND
                if answer.is_success or (missing and missing_is_fine):
                    return answer
                if answer.status_code not in _TRY_AGAIN:
                    refused = refusal(answer)
                    if isinstance(refused, Conflict):
                        refused.maybe_ours = try_ > 1
                    raise refused
                last = f"{answer.status_code}: {what_it_says(answer)}"
                asked_to_wait = retry_after(answer)
            if try_ < _TRIES:
                await self._sleep(max(wait, asked_to_wait))
            wait = min(wait * 2, _LONGEST_WAIT)
        raise Unavailable(f"{method} {url}: {last}, also after {_TRIES} tries")

    async def get(self, url: str) -> dict[str, Any] | None:
        """Return the document at an address, None if there is none."""
        answer = await self.send("GET", url, missing_is_fine=True)
        return None if answer.status_code == httpx.codes.NOT_FOUND else document_in(answer)

    async def listed(self, url: str) -> AsyncIterator[dict[str, Any]]:
        """Yield what a listing shows, page by page."""
        async for part in parts(partial(self.send, "GET"), url, f"GET {url}"):
            for one in part:
                yield as_kind(one, dict[str, Any], f"GET {url}")


def document_in(answer: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that came; raises `Unavailable` if none did."""
    document = json_in(answer)
    if not isinstance(document, dict):
        raise Unavailable(f"{answer.request.method} {answer.request.url}: no JSON object came")
    return document


def refusal(answer: httpx.Response) -> Refused:
    """Return what an error answer says."""
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
