"""A client of Azure Resource Manager: resources, and long-running operations.

Long-running operations: "Track asynchronous Azure operations" in the Azure documentation.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

from scoring.azure.answers import json_in, retry_after
from scoring.azure.http import AuthorizedHttp
from scoring.azure.workspace import API_VERSION
from scoring.cli import backoff
from scoring.cli.failures import Refused
from scoring.cli.retrying_http import RetryingHttp, document_in

OnState = Callable[[str], None]  # called with the state of a long-running operation at each look

_GOOD_ENDS = frozenset({"succeeded", "completed"})
_BAD_ENDS = frozenset({"failed", "canceled", "cancelled"})


def ignore(_: str) -> None:
    """Report no state."""


class Arm:
    """The resources of one workspace. Paths are relative to it, e.g. `batchEndpoints/heart`.

    PUT and DELETE are idempotent, so a request without a usable answer is sent again. Every method
    raises `Refused` with the service's code and message, and `Unavailable` when there is no usable
    answer after all tries.
    """

    def __init__(
        self,
        http: AuthorizedHttp,
        url: str,
        workspace_id: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = RetryingHttp(http, sleep)
        self._sleep = sleep
        self._url = url
        self.workspace_id = workspace_id

    def id(self, path: str) -> str:
        """Return the ARM id of a resource."""
        return f"{self.workspace_id}/{path}"

    async def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return a resource; None if it does not exist."""
        return await self._http.get(self._at(path, query))

    async def existing(self, path: str, what: str) -> dict[str, Any]:
        """Return a resource; raises `Refused` if it does not exist, or the workspace does not."""
        found = await self.get(path)
        if found is None:
            await self.workspace()
            raise Refused(f"the workspace has no {what}", status=404)
        return found

    async def listed(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the resources of a listing, page by page."""
        async for resource in self._http.listed(self._at(path, query)):
            yield resource

    async def workspace(self) -> dict[str, Any]:
        """Return the workspace."""
        return document_in(await self._http.send("GET", self._url_of(self.workspace_id, {})))

    async def put(
        self, path: str, body: dict[str, Any], on_state: OnState = ignore
    ) -> dict[str, Any]:
        """Create or replace a resource, wait until that is done, and return it.

        Raises:
            Conflict: another operation runs on it; `wait_until_done` waits for that.
        """
        answer = await self._http.send("PUT", self._at(path, {}), json=body)
        await self._wait(path, answer, on_state)
        resource = await self.wait_until_done(path, on_state) or document_in(answer)
        if not well(resource):
            raise Refused(f"{path}: its provisioning {provisioning(resource).lower()}")
        return resource

    async def delete(self, path: str, on_state: OnState = ignore) -> None:
        """Delete a resource, and wait until it is gone.

        Raises:
            Conflict: another operation runs on it; `wait_until_done` waits for that.
        """
        answer = await self._http.send("DELETE", self._at(path, {}), missing_is_fine=True)
        if answer.status_code != httpx.codes.NOT_FOUND:
            await self._wait(path, answer, on_state)
            await self.wait_until_done(path, on_state)

    async def wait_until_done(self, path: str, on_state: OnState = ignore) -> dict[str, Any] | None:
        """Wait until no operation runs on a resource, and return it; None if it does not exist."""
        waits = backoff.OPERATIONS.waits()
        while True:
            resource = await self.get(path)
            state = provisioning(resource or {})
            if not state or state.lower() in _GOOD_ENDS | _BAD_ENDS:
                return resource
            on_state(state)
            await self._sleep(next(waits))

    async def post(self, path: str) -> None:
        """Start an action on a resource, e.g. `jobs/x/cancel`."""
        await self._http.send("POST", self._at(path, {}))

    def _at(self, path: str, query: dict[str, str]) -> str:
        return self._url_of(self.id(path), query)

    def _url_of(self, arm_id: str, query: dict[str, str]) -> str:
        return str(httpx.URL(f"{self._url}{arm_id}", params={"api-version": API_VERSION, **query}))

    async def _wait(self, path: str, answer: httpx.Response, on_state: OnState) -> None:
        """Wait for the long-running operation that an answer names, if it names one."""
        operation = answer.headers.get("Azure-AsyncOperation") or _operation_in(answer)
        if operation:
            await self._follow(path, operation, answer, on_state)
        elif answer.status_code == httpx.codes.ACCEPTED and answer.headers.get("Location"):
            await self._follow(path, answer.headers["Location"], answer, on_state)

    async def _follow(self, path: str, url: str, answer: httpx.Response, on_state: OnState) -> None:
        for wait in backoff.OPERATIONS.waits():
            await self._sleep(retry_after(answer) or wait)
            answer = await self._http.send("GET", url, missing_is_fine=True)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return  # the service may forget an operation that has ended; the resource shows it
            document = json_in(answer)
            state = _state(document) if isinstance(document, dict) else ""
            if not state:
                state = "InProgress" if answer.status_code == httpx.codes.ACCEPTED else "Succeeded"
            on_state(state)
            if state.lower() in _GOOD_ENDS:
                return
            if state.lower() in _BAD_ENDS:
                raise _failed(path, state, document)


def provisioning(resource: dict[str, Any]) -> str:
    """Return the provisioning state of a resource; empty if it has none."""
    return str((resource.get("properties") or {}).get("provisioningState") or "")


def well(resource: dict[str, Any]) -> bool:
    """Return whether the last operation on a resource has not failed."""
    return provisioning(resource).lower() not in _BAD_ENDS


def _failed(path: str, state: str, document: Any) -> Refused:
    error = document.get("error") or (document.get("properties") or {}).get("error") or {}
    reason = f"{error.get('code', '')}: {error.get('message', 'no reason was given')}".lstrip(": ")
    return Refused(f"{path}: the operation {state.lower()}: {reason}", code=error.get("code"))


def _state(document: dict[str, Any]) -> str:
    properties = document.get("properties")
    inner = properties if isinstance(properties, dict) else {}
    return str(document.get("status") or inner.get("status") or "")


def _operation_in(answer: httpx.Response) -> str | None:
    document = json_in(answer)
    properties = document.get("properties") if isinstance(document, dict) else None
    inner = properties.get("properties") if isinstance(properties, dict) else None
    uri = inner.get("AzureAsyncOperationUri") if isinstance(inner, dict) else None
    return uri if isinstance(uri, str) else None
