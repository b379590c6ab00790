"""Long operations of Azure Resource Manager: throttled, failing, lost, and longer than a token."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from local.azure import Azure
from local.azureml.operations import Failure, OperationPlan
from local.faults import Fault
from local.names import ARM_AUDIENCE
from scoring.azure.http import AuthorizedHttp
from scoring.cli.arm import Arm, provisioning
from scoring.cli.failures import Refused
from scoring.cli.retrying_http import Conflict
from scoring.cli.session import Session
from scoring.errors import Unavailable
from tests.azure.access import access

ENDPOINT = {"location": "local", "properties": {"authMode": "aadToken"}}
STATUS = "mfeOperationsStatus"

Handler = Callable[[httpx.Request], httpx.Response]
Make = Callable[..., Arm]


pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
async def path(azure: Azure, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where an endpoint may be made; nothing is planned for it afterwards."""
    yield f"batchEndpoints/arm-{abs(hash(request.node.name)) % 10**8}"
    azure.azureml.faults.forget()
    azure.azureml.resume()


@contextmanager
def fault(azure: Azure, **fields: Any) -> Iterator[Fault]:
    yield azure.azureml.faults.add(Fault(**fields))
    azure.azureml.faults.forget()


async def test_a_put_is_waited_for(session: Session, path: str) -> None:
    states: list[str] = []

    made = await session.arm.put(path, ENDPOINT, states.append)

    assert provisioning(made) == "Succeeded"
    assert states[-1] == "Succeeded"


async def test_a_throttled_operation_is_asked_again_when_it_says(
    azure: Azure, session: Session, path: str
) -> None:
    headers = {"Retry-After": "1"}
    with fault(
        azure, kind="refuse", method="GET", path=STATUS, status=429, times=2, headers=headers
    ) as throttled:
        made = await session.arm.put(path, ENDPOINT)

        assert throttled.met == 2
    assert provisioning(made) == "Succeeded"


@pytest.mark.parametrize(
    ("code", "says"),
    [("QuotaExceeded", "the operation failed"), ("Canceled", "the operation canceled")],
)
async def test_an_operation_that_fails_says_why(
    azure: Azure, session: Session, path: str, code: str, says: str
) -> None:
    failure = Failure(code=code, message="Twelve cores are left.")
    azure.azureml.plan_operation(OperationPlan(match=path, fails=failure))

    with pytest.raises(Refused, match=f"{path}: {says}: {code}: Twelve") as refused:
        await session.arm.put(path, ENDPOINT)

    assert refused.value.details["code"] == code


async def test_what_failed_can_be_put_again(azure: Azure, session: Session, path: str) -> None:
    azure.azureml.plan_operation(
        OperationPlan(match=path, fails=Failure(code="Once", message="Only once."))
    )
    with pytest.raises(Refused):
        await session.arm.put(path, ENDPOINT)

    assert provisioning(await session.arm.put(path, ENDPOINT)) == "Succeeded"


async def test_an_answer_that_is_lost_is_asked_for_again(
    azure: Azure, session: Session, path: str
) -> None:
    """The first PUT still runs: the second one meets it, and says that it may be ours."""
    with (
        fault(azure, kind="drop-after", method="PUT", path=path),
        pytest.raises(Conflict) as conflict,
    ):
        await session.arm.put(path, ENDPOINT)

    assert conflict.value.maybe_ours
    resource = await session.arm.wait_until_done(path)
    assert resource is not None
    assert provisioning(resource) == "Succeeded"


async def test_a_conflict_with_others_is_not_taken_for_ours(
    azure: Azure, session: Session, path: str
) -> None:
    azure.azureml.plan_operation(OperationPlan(match=path, seconds=0.9))
    runs = asyncio.Event()
    putting = asyncio.ensure_future(session.arm.put(path, ENDPOINT, lambda _: runs.set()))
    await runs.wait()

    with pytest.raises(Conflict, match="in progress") as conflict:
        await session.arm.put(path, ENDPOINT)

    assert not conflict.value.maybe_ours
    await putting


async def test_a_token_that_is_refused_in_the_middle_is_replaced(
    azure: Azure, session: Session, path: str
) -> None:
    with fault(azure, kind="refuse", method="GET", path=STATUS, status=401) as refused:
        before = azure.identity.requests[ARM_AUDIENCE]
        await session.arm.put(path, ENDPOINT)

        assert refused.met == 1
        assert azure.identity.requests[ARM_AUDIENCE] == before + 2


async def test_a_wait_may_be_longer_than_the_life_of_a_token(
    azure: Azure, session: Session, path: str
) -> None:
    """The emulator refuses tokens that have expired."""
    azure.azureml.plan_operation(OperationPlan(match=path, seconds=3))
    life, azure.identity.lifetime = azure.identity.lifetime, 2.0
    try:
        made = await session.arm.put(path, ENDPOINT)
    finally:
        azure.identity.lifetime = life

    assert provisioning(made) == "Succeeded"
    assert azure.identity.requests[ARM_AUDIENCE] >= 2


async def test_a_service_that_is_down_is_told_after_all_tries(
    azure: Azure, session: Session, path: str
) -> None:
    with (
        fault(azure, kind="refuse", method="PUT", path=path, times=-1, status=503, body="asleep"),
        pytest.raises(Unavailable, match=r"503: asleep, after 6 tries"),
    ):
        await session.arm.put(path, ENDPOINT)


async def test_a_refusal_names_each_detail(session: Session, path: str) -> None:
    body = {"location": "local", "properties": {"authMode": "aadToken", "colour": "red"}}

    with pytest.raises(Refused, match=r"400: .*colour") as refused:
        await session.arm.put(path, body)

    assert refused.value.details == {"status": 400, "code": "ValidationError"}


async def test_a_delete_is_waited_for(session: Session, path: str) -> None:
    await session.arm.put(path, ENDPOINT)

    await session.arm.delete(path)

    assert await session.arm.get(path) is None


async def test_to_delete_what_is_not_there_is_no_mistake(session: Session, path: str) -> None:
    await session.arm.delete(path)


# What the emulator does not do, as a function from request to response.


@pytest.fixture
async def against() -> AsyncIterator[Make]:
    clients: list[httpx.AsyncClient] = []

    def make(handler: Handler, **options: Any) -> Arm:
        clients.append(httpx.AsyncClient(transport=httpx.MockTransport(handler)))
        http = AuthorizedHttp(clients[-1], access(hosts=["management.azure.com"]))
        return Arm(http, "https://management.azure.com", "/subscriptions/s/workspaces/w", **options)

    yield make
    for client in clients:
        await client.aclose()


class Operation:
    """A PUT that names its operation in one way only."""

    def __init__(self, answer: httpx.Response, polls: list[httpx.Response]) -> None:
        self.answer = answer
        self.polls = polls
        self.states = ["Succeeded"]  # of the resource, one a look; the last stays

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return self.answer
        if request.url.path == "/operation":
            return self.polls.pop(0)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return httpx.Response(200, json={"properties": {"provisioningState": state}})


HERE = "https://management.azure.com/operation?api-version=1"
RUNS = {"status": "InProgress"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(201, json={}, headers={"Azure-AsyncOperation": HERE}),
        httpx.Response(201, json={"properties": {"properties": {"AzureAsyncOperationUri": HERE}}}),
    ],
)
async def test_an_operation_is_found_in_header_or_properties(
    against: Make, answer: httpx.Response
) -> None:
    ends = {"properties": {"status": "Completed"}}
    operation = Operation(answer, [httpx.Response(200, json=RUNS), httpx.Response(200, json=ends)])

    await against(operation).put("computes/c", {})

    assert operation.polls == []


async def test_an_operation_may_be_told_by_location_only(
    against: Make,
) -> None:
    """202 as long as it runs, then the result."""
    operation = Operation(
        httpx.Response(202, headers={"Location": HERE}),
        [httpx.Response(202), httpx.Response(200, json={"id": "x"})],
    )

    await against(operation).put("computes/c", {})

    assert operation.polls == []


async def test_nobody_is_asked_before_the_time_that_was_said(against: Make) -> None:
    """Neither the throttled one, nor the operation that says when to look."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    answers = [
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(202, headers={"Location": HERE, "Retry-After": "11"}),
    ]
    polls = [
        httpx.Response(429, headers={"Retry-After": "13"}),
        httpx.Response(202, headers={"Retry-After": "17"}),
        httpx.Response(200),
    ]
    operation = Operation(answers[0], polls)

    def handle(request: httpx.Request) -> httpx.Response:
        operation.answer = answers.pop(0) if request.method == "PUT" else operation.answer
        return operation(request)

    await against(handle, sleep=sleep).put("computes/c", {})

    assert waits == [7, 11, 13, 17]


async def test_an_operation_by_location_fails_with_an_error(
    against: Make,
) -> None:
    error = {"error": {"code": "NoQuota", "message": "None is left."}}
    operation = Operation(
        httpx.Response(202, headers={"Location": HERE}), [httpx.Response(400, json=error)]
    )

    with pytest.raises(Refused, match="NoQuota: None is left"):
        await against(operation).put("computes/c", {})


async def test_of_an_operation_that_is_forgotten_the_resource_tells(
    against: Make,
) -> None:
    operation = Operation(
        httpx.Response(201, json={}, headers={"Azure-AsyncOperation": HERE}), [httpx.Response(404)]
    )
    operation.states = ["Creating", "Creating", "Succeeded"]

    await against(operation).put("computes/c", {})

    assert operation.states == ["Succeeded"]


async def test_a_resource_that_failed_without_an_operation_is_a_failure(
    against: Make,
) -> None:
    operation = Operation(httpx.Response(201, json={}), [])
    operation.states = ["Creating", "Failed"]

    with pytest.raises(Refused, match="computes/c: its provisioning failed"):
        await against(operation).put("computes/c", {})


async def test_a_token_goes_to_no_host_that_an_answer_names(
    against: Make,
) -> None:
    elsewhere = {"Azure-AsyncOperation": "https://elsewhere.example/operation"}
    operation = Operation(httpx.Response(201, json={}, headers=elsewhere), [])

    with pytest.raises(Exception, match="may not be sent a token"):
        await against(operation).put("computes/c", {})
