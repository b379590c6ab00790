"""The control plane of the Azure ML workspace: where datastores are, and endpoints' addresses."""

import asyncio
import collections
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httpx
import msgspec

from scoring.azure.batch_endpoint import batch_job_in
from scoring.azure.errors import translating_errors
from scoring.azure.http import AuthorizedHttp, json_in, what_it_says
from scoring.errors import LandfallError, SetupError, Unavailable
from scoring.jobs.batch_job import BatchEndpoint, BatchJob
from scoring.jobs.job import ContainerRef
from scoring.log import Action, warning

API_VERSION = "2025-12-01"

_STATE = "provisioningState"
_CANNOT_RUN = frozenset({"Failed", "Canceled", "Deleting"})  # a deployment in these states

_FRESH = 60.0  # seconds for which an answer is used without asking again
_ASK_AGAIN = 15.0  # seconds after which a failure is
_ANSWERS_WITHIN = 20.0  # seconds, all pages of a listing together


class Memory(Protocol):
    """Keeps the workspace's last answers for a cold start while ARM is down."""

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Return what is kept under a name and its version."""

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Keep this unless it changed since that version; return the version that stands."""


class ReadOnlyMemory:
    """Read-only cache for the CLI: an operator may lack write access to the ledger."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Return what is kept."""
        return await self._memory.recall(name)

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Keep nothing."""
        del name, body
        return version


class LastAnswers(msgspec.Struct, kw_only=True):
    """The last answers of the workspace."""

    schema: int = 1
    places: dict[str, ContainerRef] = {}
    endpoints: dict[str, BatchEndpoint] = {}


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How ARM was asked the last time."""

    good_until: float  # of the clock
    failure: LandfallError | None


class AzureWorkspace:
    """A `ports.Workspace` over ARM, which caches the answers."""

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
        self._asked: dict[str, _Asked] = {}
        self._problems: dict[str, str] = {}  # of deployments that cannot be invoked
        self._locks: collections.defaultdict[str, asyncio.Lock] = collections.defaultdict(
            asyncio.Lock
        )
        self._answers: LastAnswers | None = None
        self._kept: bytes | None = None  # what the memory holds, in its version
        self._version: str | None = None

    async def places(self) -> dict[str, ContainerRef]:
        """Return where each datastore in blob storage is."""
        known = await self._known()
        await self._refresh("datastores", bool(known.places), self._ask_places)
        return known.places

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        """Return what ARM says of a batch endpoint."""
        known = await self._known()
        await self._refresh(
            f"endpoint {name}", name in known.endpoints, lambda: self._ask_endpoint(name)
        )
        return known.endpoints.get(name)

    async def deployment_problem(self, endpoint: str, deployment: str) -> str | None:
        """Return why ARM says that a deployment cannot be invoked."""
        what = f"deployment {endpoint}/{deployment}"
        try:
            await self._known()
            await self._refresh(what, False, lambda: self._ask_deployment(endpoint, deployment))
        except LandfallError:
            return None  # ARM is away: the endpoint itself has the last word
        return self._problems.get(what)

    async def batch_job(self, name: str) -> BatchJob | None:
        """Return what ARM says of a batch job."""
        url = f"{self._url}/jobs/{name}?api-version={API_VERSION}"
        document = await self._get(url, missing_is_fine=True)
        return None if document is None else batch_job_in(document)

    async def cancel(self, batch_job: str) -> None:
        """Ask for the cancel of a batch job."""
        with translating_errors(f"cancel of {batch_job}"):
            answer = await self._http.send(
                "POST", f"{self._url}/jobs/{batch_job}/cancel", params={"api-version": API_VERSION}
            )
        _check(answer, f"cancel of {batch_job}")

    async def _refresh(
        self, what: str, has_answer: bool, ask: Callable[[], Awaitable[bool]]
    ) -> None:
        """Ask ARM unless its answer is fresh; where it gives none, its last answer counts.

        One asks and the others wait; a failure is not asked for again for a while, or each
        invocation would wait for an ARM that hangs.
        """
        async with self._locks[what]:
            last = self._asked.get(what)
            if last is not None and self._clock() < last.good_until:
                if last.failure is not None and not has_answer:
                    raise last.failure
                return
            failure = await self._try(what, ask)
        if failure is None:
            await self._keep()
        elif has_answer:
            warning(Action.LAST_ANSWER_USED, what=what, error=str(failure))
        else:
            raise failure

    async def _try(self, what: str, ask: Callable[[], Awaitable[bool]]) -> LandfallError | None:
        failure: LandfallError | None = None
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                found = await ask()
        except TimeoutError:
            failure = Unavailable(f"the workspace: no answer in {_ANSWERS_WITHIN:.0f} s")
        except (Unavailable, SetupError) as said:
            failure = said
        else:
            if not found:
                self._asked.pop(what, None)  # it may just be coming: ask again the next time
                return None
        fresh = _FRESH if failure is None else _ASK_AGAIN
        self._asked[what] = _Asked(good_until=self._clock() + fresh, failure=failure)
        return failure

    async def _keep(self) -> None:
        """Remember the answers if they have changed."""
        async with self._locks["memory"]:
            answers = msgspec.json.encode(self._answers)
            if answers == self._kept:
                return
            self._version = await self._memory.remember("workspace", answers, self._version)
            self._kept = answers

    async def _known(self) -> LastAnswers:
        async with self._locks["memory"]:
            if self._answers is None:
                body, self._version = await self._memory.recall("workspace")
                self._answers, self._kept = _read_memory(body), body
            return self._answers

    async def _ask_places(self) -> bool:
        places: dict[str, ContainerRef] = {}
        page: str | None = f"{self._url}/datastores?api-version={API_VERSION}"
        while page:
            document = await self._get(page)
            for datastore in document.get("value") or []:
                place = place_in(datastore, self._account_url)
                if place is not None:
                    places[datastore["name"]] = place
            page = document.get("nextLink")
        (await self._known()).places = places
        return True

    async def _ask_endpoint(self, name: str) -> bool:
        endpoints = (await self._known()).endpoints
        url = f"{self._url}/batchEndpoints/{name}?api-version={API_VERSION}"
        document = await self._get(url, missing_is_fine=True)
        if document is None:
            endpoints.pop(name, None)
            return False
        endpoints[name] = batch_endpoint_in(document)
        return True

    async def _ask_deployment(self, endpoint: str, deployment: str) -> bool:
        what = f"deployment {endpoint}/{deployment}"
        path = f"{self._url}/batchEndpoints/{endpoint}/deployments/{deployment}"
        document = await self._get(f"{path}?api-version={API_VERSION}", missing_is_fine=True)
        state = None if document is None else (document.get("properties") or {}).get(_STATE)
        self._problems.pop(what, None)
        if document is None:
            self._problems[what] = f"batch endpoint {endpoint!r} has no deployment {deployment!r}"
        elif state in _CANNOT_RUN:
            self._problems[what] = (
                f"deployment {deployment!r} of batch endpoint {endpoint!r} is {state}: deploy it again"
            )
        return what not in self._problems

    async def _get(self, url: str, *, missing_is_fine: bool = False) -> Any:
        with translating_errors("the workspace"):
            answer = await self._http.send("GET", url)
        if missing_is_fine and answer.status_code == httpx.codes.NOT_FOUND:
            return None
        _check(answer, "the workspace")
        document = json_in(answer)
        if not isinstance(document, dict):
            raise Unavailable(f"the workspace: {url}: the answer is no JSON object")
        return document


def place_in(
    datastore: dict[str, Any], account_url: Callable[[str, str], str]
) -> ContainerRef | None:
    """Read where a datastore is; None unless it is in blob storage, where outputs must lie."""
    properties = datastore.get("properties") or {}
    if properties.get("datastoreType") != "AzureBlob":
        return None
    account, container = properties.get("accountName"), properties.get("containerName")
    if not (isinstance(account, str) and isinstance(container, str)):
        return None
    suffix = properties.get("endpoint") or "core.windows.net"
    return ContainerRef(
        account=account, account_url=account_url(account, suffix), container=container
    )


def batch_endpoint_in(document: dict[str, Any]) -> BatchEndpoint:
    """Read a batch endpoint as ARM describes it.

    Raises:
        Unavailable: it has no address.
    """
    properties = document.get("properties") or {}
    if not isinstance(properties.get("scoringUri"), str):
        name = document.get("name")
        raise Unavailable(f"the workspace names no scoringUri for batch endpoint {name!r}")
    return BatchEndpoint(
        scoring_uri=properties["scoringUri"],
        default_deployment=(properties.get("defaults") or {}).get("deploymentName"),
    )


def _read_memory(body: bytes | None) -> LastAnswers:
    try:
        return msgspec.json.decode(body, type=LastAnswers) if body else LastAnswers()
    except msgspec.DecodeError:
        return LastAnswers()  # what cannot be read is as good as forgotten


def _check(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    message = f"{what}: {answer.status_code}: {what_it_says(answer)}"
    if answer.status_code in (401, 403, 404):
        raise SetupError(message)
    raise Unavailable(message)
