"""The control plane of the Azure ML workspace: where datastores are, and endpoints' addresses."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httpx
import msgspec

from scoring.authorized_http import AuthorizedHttp, what_it_says
from scoring.azure_errors import told_as_ours
from scoring.errors import SetupError, Unavailable
from scoring.job import Place
from scoring.log import Action, warning
from scoring.ports import BatchEndpoint

API_VERSION = "2025-12-01"

_FRESH = 60.0  # seconds for which an answer is used without asking again


class Memory(Protocol):
    """Keeps the workspace's last answers for a cold start while ARM is down."""

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Return what is kept under a name and its version."""

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Keep this unless it changed since that version; return what version stands, if known."""


class LastAnswers(msgspec.Struct, kw_only=True):
    """What the workspace said last."""

    schema: int = 1
    places: dict[str, Place] = {}
    endpoints: dict[str, BatchEndpoint] = {}


class AzureWorkspace:
    """A `ports.Workspace` over ARM, which remembers what it was told."""

    def __init__(
        self,
        http: AuthorizedHttp,
        url: str,
        memory: Memory,
        *,
        account_url: Callable[[str, str], str],
        clock: Callable[[], float],
    ) -> None:
        self._http = http
        self._url = url  # of the workspace
        self._memory = memory
        self._account_url = account_url  # from an account and the datastore's endpoint suffix
        self._clock = clock
        self._asked: dict[str, float] = {}  # when, by what
        self._answers: LastAnswers | None = None
        self._version: str | None = None
        self._lock = asyncio.Lock()

    async def places(self) -> dict[str, Place]:
        """Return where each datastore in blob storage is."""
        async with self._lock:
            known = await self._known()
            await self._refresh("datastores", bool(known.places), self._ask_places)
            return known.places

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        """Return what ARM says of a batch endpoint."""
        async with self._lock:
            known = await self._known()
            await self._refresh(name, name in known.endpoints, lambda: self._ask_endpoint(name))
            return known.endpoints.get(name)

    async def cancel(self, batch_job: str) -> None:
        """Ask for the cancel of a batch job."""
        with told_as_ours(f"cancel of {batch_job}"):
            answer = await self._http.send(
                "POST", f"{self._url}/jobs/{batch_job}/cancel", params={"api-version": API_VERSION}
            )
        _check(answer, f"cancel of {batch_job}")

    async def _refresh(
        self, what: str, has_answer: bool, ask: Callable[[], Awaitable[None]]
    ) -> None:
        """Ask ARM unless its answer is fresh; where ARM is away, its last answer counts."""
        if self._clock() - self._asked.get(what, float("-inf")) < _FRESH:
            return
        before = msgspec.json.encode(self._answers)
        try:
            await ask()
        except Unavailable as failure:
            if not has_answer:
                raise
            warning(Action.LAST_ANSWER_USED, what=what, error=str(failure))
            return
        after = msgspec.json.encode(self._answers)
        if after != before:
            self._version = await self._memory.remember("workspace", after, self._version)

    async def _known(self) -> LastAnswers:
        if self._answers is None:
            body, self._version = await self._memory.recall("workspace")
            self._answers = msgspec.json.decode(body, type=LastAnswers) if body else LastAnswers()
        return self._answers

    async def _ask_places(self) -> None:
        places: dict[str, Place] = {}
        page: str | None = f"{self._url}/datastores?api-version={API_VERSION}"
        while page:
            document = await self._get(page)
            for datastore in document.get("value", []):
                place = self._place(datastore.get("properties", {}))
                if place is not None:
                    places[datastore["name"]] = place
            page = document.get("nextLink")
        (await self._known()).places = places
        self._asked["datastores"] = self._clock()

    def _place(self, properties: dict[str, Any]) -> Place | None:
        """Read where a datastore is; None unless it is in blob storage, where outputs must lie."""
        if properties.get("datastoreType") != "AzureBlob":
            return None
        account = properties["accountName"]
        return Place(
            account=account,
            account_url=self._account_url(account, properties.get("endpoint", "core.windows.net")),
            container=properties["containerName"],
        )

    async def _ask_endpoint(self, name: str) -> None:
        endpoints = (await self._known()).endpoints
        url = f"{self._url}/batchEndpoints/{name}?api-version={API_VERSION}"
        document = await self._get(url, missing_is_fine=True)
        if document is None:
            endpoints.pop(name, None)  # and asked again the next time: it may just be coming
            return
        properties = document.get("properties", {})
        if not isinstance(properties.get("scoringUri"), str):
            raise Unavailable(f"the workspace names no scoringUri for batch endpoint {name!r}")
        endpoints[name] = BatchEndpoint(
            scoring_uri=properties["scoringUri"],
            default_deployment=(properties.get("defaults") or {}).get("deploymentName"),
        )
        self._asked[name] = self._clock()

    async def _get(self, url: str, *, missing_is_fine: bool = False) -> Any:
        with told_as_ours("the workspace"):
            answer = await self._http.send("GET", url)
        if missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        _check(answer, "the workspace")
        document = answer.json()
        if not isinstance(document, dict):
            raise Unavailable(f"the workspace: {url}: the answer is no JSON object")
        return document


def _check(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    message = f"{what}: {answer.status_code}: {what_it_says(answer)}"
    if answer.status_code in (401, 403, 404):
        raise SetupError(message)
    raise Unavailable(message)
