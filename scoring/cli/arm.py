"""Azure Resource Manager: its resources, and long operations that are waited for.

Long operations as in "Track asynchronous Azure operations" of the Azure documentation.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from scoring.authorized_http import AuthorizedHttp, json_in, retry_after
from scoring.cli.failures import Refused
from scoring.cli.patient_http import PatientHttp, document_in, refusal
from scoring.workspace import API_VERSION

Tell = Callable[[str], None]  # is told the state of a long operation whenever it is asked for

_LONGEST_WAIT = 15.0  # seconds
_FIRST_LOOK = 0.2  # at a long operation; doubles, unless Retry-After says otherwise
_GOOD_ENDS = frozenset({"succeeded", "completed"})
_BAD_ENDS = frozenset({"failed", "canceled", "cancelled"})


def silent(_: str) -> None:
    """Tell nobody."""


class Arm:
    """The resources of one workspace. Paths are relative to it, e.g. `batchEndpoints/heart`.

    PUT and DELETE mean the same when they are sent twice, so what gets no usable answer is sent
    again. Every method raises `Refused` with the service's code and message, and `Unavailable`
    when there is no usable answer after all tries.
    """

    def __init__(self, http: AuthorizedHttp, url: str, workspace_id: str) -> None:
        self._patient = PatientHttp(http)
        self._url = url
        self.workspace_id = workspace_id

    def id(self, path: str) -> str:
        """Return the ARM id of a resource."""
        return f"{self.workspace_id}/{path}"

    async def get(self, path: str, **query: str) -> dict[str, Any] | None:
        """Return a resource, None if there is none."""
        return await self._patient.get(self._at(path, query))

    async def listed(self, path: str, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the resources of a listing, page by page."""
        async for one in self._patient.listed(self._at(path, query)):
            yield one

    async def put(self, path: str, body: dict[str, Any], tell: Tell = silent) -> dict[str, Any]:
        """Create or replace a resource and wait until it is there; return it.

        While somebody else's operation on it runs, it is waited for.
        """
        url, again = self._at(path, {}), True
        while True:
            answer = await self._patient.send("PUT", url, json=body, conflict_is_fine=True)
            if answer.status_code != httpx.codes.CONFLICT:
                break
            waited = await self._settled(path, tell)
            if not (waited or again):
                raise refusal(answer)
            again = waited  # else once more: the other's operation may just have ended
        await self._wait(answer, path, tell)
        return await self.get(path) or document_in(answer)

    async def delete(self, path: str, tell: Tell = silent) -> bool:
        """Delete a resource and wait until it is gone; False: there was none."""
        answer = await self._patient.send("DELETE", self._at(path, {}), missing_is_fine=True)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.NO_CONTENT):
            return False
        await self._wait(answer, None, tell)
        return True

    async def post(self, path: str) -> None:
        """Ask for an action on a resource, e.g. `jobs/x/cancel`."""
        await self._patient.send("POST", self._at(path, {}))

    def _at(self, path: str, query: dict[str, str]) -> str:
        return str(
            httpx.URL(f"{self._url}{self.id(path)}", params={"api-version": API_VERSION, **query})
        )

    async def _settled(self, path: str, tell: Tell) -> bool:
        """Wait for the operation that runs on a resource; False: none does."""
        wait, waited = _FIRST_LOOK, False
        while (state := _provisioning(await self.get(path) or {})) and not _ended(state):
            tell(state)
            waited = True
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        return waited

    async def _wait(self, answer: httpx.Response, path: str | None, tell: Tell) -> None:
        """Wait for the long operation that an answer names, if it names one."""
        operation = answer.headers.get("Azure-AsyncOperation") or _operation_in(answer)
        if operation:
            await self._follow(operation, answer, tell)
        elif answer.status_code == httpx.codes.ACCEPTED and answer.headers.get("Location"):
            await self._follow(answer.headers["Location"], answer, tell)
        elif path is not None:
            await self._settled(path, tell)
        if path is not None:
            stands = await self.get(path) or {}
            if _provisioning(stands).lower() in _BAD_ENDS:
                raise Refused(f"{path}: its provisioning {_provisioning(stands).lower()}")

    async def _follow(self, url: str, answer: httpx.Response, tell: Tell) -> None:
        wait = _FIRST_LOOK
        while True:
            await asyncio.sleep(retry_after(answer) or wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            answer = await self._patient.send("GET", url, missing_is_fine=True)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return  # what has ended may be forgotten; the resource itself tells
            document = json_in(answer)
            state = _state(document) if isinstance(document, dict) else ""
            if not state:
                state = "InProgress" if answer.status_code == httpx.codes.ACCEPTED else "Succeeded"
            tell(state)
            if state.lower() in _GOOD_ENDS:
                return
            if state.lower() in _BAD_ENDS:
                raise _failed(state, document)


def _failed(state: str, document: Any) -> Refused:
    error = document.get("error") or (document.get("properties") or {}).get("error") or {}
    said = f"{error.get('code', '')}: {error.get('message', 'no reason was given')}".lstrip(": ")
    return Refused(f"the operation {state.lower()}: {said}", code=error.get("code"))


def _state(document: dict[str, Any]) -> str:
    properties = document.get("properties")
    inner = properties if isinstance(properties, dict) else {}
    return str(document.get("status") or inner.get("status") or "")


def _provisioning(document: dict[str, Any]) -> str:
    return str((document.get("properties") or {}).get("provisioningState") or "")


def _ended(state: str) -> bool:
    return state.lower() in _GOOD_ENDS | _BAD_ENDS


def _operation_in(answer: httpx.Response) -> str | None:
    document = json_in(answer)
    properties = document.get("properties") if isinstance(document, dict) else None
    inner = properties.get("properties") if isinstance(properties, dict) else None
    uri = inner.get("AzureAsyncOperationUri") if isinstance(inner, dict) else None
    return uri if isinstance(uri, str) else None
