"""What the app asks ARM, how long it believes the answers, and what happens without them."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scoring.azure.http import AuthorizedHttp
from scoring.azure.workspace import AzureWorkspace, Memory, ReadOnlyMemory
from scoring.errors import SetupError, Unavailable
from scoring.jobs.batch_job import BatchEndpoint
from scoring.jobs.job import ContainerRef
from tests.azure.access import access

URL = "https://management.azure.com/subscriptions/s/workspaces/w"


class Kept:
    """A memory that outlives workspaces."""

    def __init__(self) -> None:
        self.body: bytes | None = None

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        return self.body, "v"

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        self.body = body
        return "v"


class Arm:
    """ARM as a function from request to response."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.answer: Callable[[httpx.Request], httpx.Response] = self.healthy
        self.time = 0.0

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return self.answer(request)

    def healthy(self, request: httpx.Request) -> httpx.Response:
        if "skip=1" in str(request.url):
            return httpx.Response(200, json={"value": [_datastore("more", "AzureDataLakeGen2")]})
        if request.url.path.endswith("/datastores"):
            first = {"value": [_datastore("workspaceblobstore", "AzureBlob")]}
            return httpx.Response(200, json={**first, "nextLink": f"{URL}/datastores?skip=1"})
        if request.url.path.endswith("/batchEndpoints/heart"):
            return httpx.Response(
                200,
                json={
                    "properties": {
                        "scoringUri": "https://heart.ml.azure.com/jobs",
                        "defaults": {"deploymentName": "xgboost"},
                    }
                },
            )
        if request.url.path.endswith("/cancel"):
            return httpx.Response(202)
        return httpx.Response(404, json={"error": {"code": "NotFound", "message": "no such"}})

    def workspace(self, memory: Memory) -> AzureWorkspace:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.handle))
        return AzureWorkspace(
            AuthorizedHttp(client, access(hosts=["management.azure.com"])),
            URL,
            memory,
            account_url=lambda account, suffix: f"https://{account}.blob.{suffix}",
            clock=lambda: self.time,
        )


def _datastore(name: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {
            "datastoreType": kind,
            "accountName": "acc",
            "containerName": "c",
            "endpoint": "core.windows.net",
        },
    }


def down(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no route")


async def test_datastores_in_blob_storage_are_found_on_all_pages() -> None:
    arm = Arm()
    assert await arm.workspace(Kept()).places() == {
        "workspaceblobstore": ContainerRef(
            account="acc", account_url="https://acc.blob.core.windows.net", container="c"
        )
    }
    assert len(arm.requests) == 2


async def test_an_endpoint_is_asked_for_once_in_a_while() -> None:
    arm = Arm()
    workspace = arm.workspace(Kept())
    found = await workspace.endpoint("heart")
    assert found == BatchEndpoint(
        scoring_uri="https://heart.ml.azure.com/jobs", default_deployment="xgboost"
    )
    await workspace.endpoint("heart")
    assert len(arm.requests) == 1
    arm.time += 3_600
    await workspace.endpoint("heart")
    assert len(arm.requests) == 2


async def test_an_endpoint_that_is_not_there_is_asked_for_again_at_once() -> None:
    arm = Arm()
    workspace = arm.workspace(Kept())
    assert await workspace.endpoint("later") is None
    assert await workspace.endpoint("later") is None
    assert len(arm.requests) == 2


async def test_at_a_cold_start_without_arm_the_last_answer_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    arm, memory = Arm(), Kept()
    before = arm.workspace(memory)
    answers = await before.places(), await before.endpoint("heart")
    arm.answer = down
    after = arm.workspace(memory)
    with caplog.at_level(logging.WARNING):
        assert (await after.places(), await after.endpoint("heart")) == answers
    assert "last-answer-used what=datastores" in caplog.text


async def test_without_arm_and_without_a_last_answer_nothing_is_made_up() -> None:
    arm = Arm()
    arm.answer = down
    with pytest.raises(Unavailable):
        await arm.workspace(Kept()).places()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, SetupError),
        (403, SetupError),
        (404, SetupError),
        (429, Unavailable),
        (500, Unavailable),
    ],
)
async def test_each_refusal_says_whether_waiting_helps(status: int, error: type[Exception]) -> None:
    arm = Arm()
    arm.answer = lambda _: httpx.Response(status, json={"error": {"message": "why"}})
    with pytest.raises(error, match="why"):
        await arm.workspace(Kept()).places()


async def test_a_next_page_elsewhere_is_not_sent_the_token() -> None:
    arm = Arm()
    elsewhere = {"value": [], "nextLink": "https://evil.example/datastores"}
    arm.answer = lambda _: httpx.Response(200, json=elsewhere)
    with pytest.raises(SetupError, match="may not be sent a token"):
        await arm.workspace(Kept()).places()
    assert len(arm.requests) == 1


async def test_a_batch_job_is_canceled_through_arm() -> None:
    arm = Arm()
    await arm.workspace(Kept()).cancel("batchjob-1")
    assert arm.requests == ["POST /subscriptions/s/workspaces/w/jobs/batchjob-1/cancel"]


async def test_an_arm_that_hangs_is_waited_for_once_by_all_and_not_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each of many landings would wait for it, one after the other."""
    monkeypatch.setattr("scoring.azure.workspace._ANSWERS_WITHIN", 0.05)
    arm = Arm()

    async def hang(_: httpx.Request) -> httpx.Response:
        arm.requests.append("a request")
        return await asyncio.Event().wait()  # type: ignore[return-value]

    arm.handle = hang  # type: ignore[method-assign,assignment]
    workspace = arm.workspace(Kept())
    results = await asyncio.gather(*(workspace.places() for _ in range(64)), return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    assert len(arm.requests) == 1


async def test_after_a_failure_the_last_answer_is_used_for_a_while_and_then_arm_is_asked() -> None:
    arm = Arm()
    workspace = arm.workspace(Kept())
    known = await workspace.places()
    arm.time += 3_600
    arm.answer = lambda _: httpx.Response(403)
    for _ in range(3):
        assert await workspace.places() == known
    assert len(arm.requests) == 3, "two pages, then one refusal"
    arm.time += 60
    arm.answer = arm.healthy
    await workspace.places()
    assert len(arm.requests) == 5


async def test_one_endpoint_that_is_slow_does_not_keep_others_waiting() -> None:
    arm = Arm()
    asked, go_on = asyncio.Event(), asyncio.Event()
    handle = arm.handle

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/slow"):
            asked.set()
            await go_on.wait()
        return handle(request)

    arm.handle = slow  # type: ignore[method-assign,assignment]
    workspace = arm.workspace(Kept())
    waiting = asyncio.create_task(workspace.endpoint("slow"))
    await asked.wait()
    assert await workspace.endpoint("heart") is not None
    go_on.set()
    await waiting


@pytest.mark.parametrize("missing", ["accountName", "containerName"])
async def test_a_datastore_without_a_place_is_left_out(missing: str) -> None:
    arm = Arm()
    odd = _datastore("odd", "AzureBlob")
    odd["properties"] |= {missing: None}
    whole = _datastore("whole", "AzureBlob")
    whole["properties"] |= {"endpoint": None}
    arm.answer = lambda _: httpx.Response(200, json={"value": [odd, whole]})
    places = await arm.workspace(Kept()).places()
    assert {name: place.account_url for name, place in places.items()} == {
        "whole": "https://acc.blob.core.windows.net"
    }


async def test_a_memory_that_cannot_be_read_is_none() -> None:
    arm, memory = Arm(), Kept()
    memory.body = b'{"places": {"odd": {"account": null}}}'
    assert "workspaceblobstore" in await arm.workspace(memory).places()


async def test_a_datastore_of_another_shape_is_left_out_alone() -> None:
    arm = Arm()
    good = _datastore("good", "AzureBlob")
    odd: list[Any] = [
        None,
        5,
        [],
        {},
        {"name": "odd"},
        {"name": "odd", "properties": None},
        {**good, "name": None},
        {**good, "name": 5},
        {name: one for name, one in good.items() if name != "name"},
        {**good, "name": "odd", "properties": {**good["properties"], "endpoint": {}}},
        {**good, "name": "odd", "properties": {**good["properties"], "accountName": 5}},
    ]
    arm.answer = lambda _: httpx.Response(200, json={"value": [*odd, good, *odd]})
    assert set(await arm.workspace(Kept()).places()) == {"good"}


SHAPES = {
    "a nextLink that is a number": b'{"value": [], "nextLink": 5}',
    "a nextLink that repeats": f'{{"value": [], "nextLink": "{URL}/datastores?skip=2"}}'.encode(),
    "no listing": b'{"value": {"name": "x"}}',
    "no JSON": b"<html>",
    "no text": b"\xff\xfe",
    "6000 levels": b'{"value": [], "more": ' + b'{"a":' * 6_000 + b"1" + b"}" * 6_001,
    "nothing": b"",
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_answer_of_another_shape_is_one_error_and_the_last_good_answer_is_used(
    shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    arm = Arm()
    workspace = arm.workspace(Kept())
    known = await workspace.places()
    arm.time += 3_600
    arm.answer = lambda _: httpx.Response(200, content=SHAPES[shape])
    with caplog.at_level(logging.WARNING):
        assert await workspace.places() == known
    assert "last-answer-used what=datastores" in caplog.text
    with pytest.raises(Unavailable):
        await arm.workspace(Kept()).places()
    assert len(arm.requests) < 10


async def test_what_is_not_needed_of_an_answer_does_not_matter() -> None:
    arm = Arm()
    listing = {"value": [{**_datastore("good", "AzureBlob"), "more": "odd"}], "count": "many"}
    deep = (
        b'{"more": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b"," + json.dumps(listing).encode()[1:]
    )
    arm.answer = lambda _: httpx.Response(200, content=deep)
    assert set(await arm.workspace(Kept()).places()) == {"good"}


@pytest.mark.parametrize(
    "properties",
    [
        None,
        {},
        {"scoringUri": 5},
        {"scoringUri": ""},
        {"scoringUri": "https://heart.ml.azure.com/jobs\r\nEvil: 1"},
        {"scoringUri": "https://h.ml.azure.com/jobs", "defaults": []},
        {"scoringUri": "https://h.ml.azure.com/jobs", "defaults": {"deploymentName": 5}},
        {"scoringUri": "https://h.ml.azure.com/jobs", "defaults": {"deploymentName": "a\r\nb"}},
        {"scoringUri": "https://h.ml.azure.com/jobs", "defaults": {"deploymentName": "\u20ac"}},
    ],
)
async def test_an_endpoint_of_another_shape_is_unavailable(properties: object) -> None:
    arm = Arm()
    arm.answer = lambda _: httpx.Response(200, json={"name": "heart", "properties": properties})
    with pytest.raises(Unavailable):
        await arm.workspace(Kept()).endpoint("heart")


@pytest.mark.parametrize("defaults", [None, {}, {"deploymentName": None}])
async def test_an_endpoint_may_have_no_default_deployment(defaults: object) -> None:
    arm = Arm()
    properties = {"scoringUri": "https://h.ml.azure.com/jobs", "defaults": defaults}
    arm.answer = lambda _: httpx.Response(200, json={"properties": properties})
    found = await arm.workspace(Kept()).endpoint("heart")
    assert found == BatchEndpoint(
        scoring_uri="https://h.ml.azure.com/jobs", default_deployment=None
    )


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
async def test_an_answer_that_is_no_document_is_none(body: bytes) -> None:
    arm = Arm()
    arm.answer = lambda _: httpx.Response(200, content=body)
    with pytest.raises(Unavailable, match="cannot be understood"):
        await arm.workspace(Kept()).endpoint("heart")


async def test_who_only_looks_uses_the_last_answers_and_keeps_none() -> None:
    arm, kept = Arm(), Kept()
    await arm.workspace(kept).places()
    before = kept.body
    assert await arm.workspace(ReadOnlyMemory(kept)).endpoint("heart")
    assert kept.body == before
    arm.answer = lambda _: httpx.Response(503)
    assert "workspaceblobstore" in await arm.workspace(ReadOnlyMemory(kept)).places()


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Deleting"])
async def test_a_deployment_in_a_state_that_cannot_run_is_a_problem(state: str) -> None:
    deployment = {"name": "blue", "properties": {"provisioningState": state}}
    arm = Arm()
    arm.answer = lambda _: httpx.Response(200, json=deployment)
    problem = await arm.workspace(Kept()).deployment_problem("heart", "blue")
    assert problem is not None
    assert state in problem


@pytest.mark.parametrize("state", ["Succeeded", "Updating", "Scaling", "a new one", None])
async def test_any_other_state_of_a_deployment_is_none(state: str | None) -> None:
    arm = Arm()
    arm.answer = lambda _: httpx.Response(200, json={"properties": {"provisioningState": state}})
    assert await arm.workspace(Kept()).deployment_problem("heart", "blue") is None


async def test_where_the_workspace_cannot_be_asked_the_endpoint_has_the_last_word() -> None:
    arm = Arm()
    arm.answer = lambda _: httpx.Response(503)
    assert await arm.workspace(Kept()).deployment_problem("heart", "blue") is None
