"""Each way a POST can go wrong, over real sockets: what the endpoint was for certain not asked,
and what nobody knows.
"""

import asyncio
import gzip
import json
import socket
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken

from local.credential import StaticCredential
from local.run_folder import RunFolder
from scoring.azure.access import Access
from scoring.azure.batch_endpoint import AzureBatchEndpoints, batch_job_in
from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.identity import Identity
from scoring.errors import Unavailable
from scoring.jobs.batch_job import (
    Accepted,
    BatchEndpoint,
    ErrorAnswer,
    JobState,
    NotSent,
    Submission,
    Unclear,
)
from scoring.routes.route import JobSettings
from tests.azure.access import access
from tests.azure.wire import Serve, answering, dripping, http, read_request, server

SUBMISSION = Submission(
    tag="landfall-k-1",
    deployment="xgboost",
    kind="file",
    input_uri="azureml://datastores/d/paths/landing/a.csv",
    output_uri="azureml://datastores/d/paths/scored/k/predictions.csv",
    settings=JobSettings(instance_count=4),
)
TAKEN = {"name": "batchjob-1", "id": "/x//jobs/batchjob-1", "properties": {"name": "witty_fig"}}


def packed(status: int) -> bytes:
    """An answer that grows a thousandfold."""
    body = gzip.compress(b" " * 100_000_000)
    head = f"HTTP/1.1 {status} X\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def endpoints(
    *tokens: str, post_seconds: float = 5.0, others: httpx.Timeout | None = None
) -> AsyncIterator[AzureBatchEndpoints]:
    async with new_client() as client:
        client.timeout = others or httpx.Timeout(5.0)
        authorized = AuthorizedHttp(client, access(*tokens, hosts=("localhost", "invalid")))
        yield AzureBatchEndpoints(authorized, post_seconds=post_seconds)


async def post(url: str, **options: Any) -> object:
    async with endpoints(**options) as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        return await made.submit(endpoint, SUBMISSION)


# --- never sent ---------------------------------------------------------------------------------


async def test_a_refused_connection_was_never_made(folder: RunFolder) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert isinstance(await post(f"https://localhost:{port}"), NotSent)


async def test_a_name_that_is_not_known_was_never_connected_to(folder: RunFolder) -> None:
    assert isinstance(await post("https://nowhere.invalid"), NotSent)


async def test_a_tls_handshake_that_fails_is_no_connection(folder: RunFolder) -> None:
    async def no_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    async with server(no_tls, None) as url:
        assert isinstance(await post(url), NotSent)


async def test_a_tls_handshake_that_hangs_is_no_connection(folder: RunFolder) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.get_running_loop().create_future()

    async with server(silent, None) as url:
        assert isinstance(await post(url, post_seconds=1.0), NotSent)


# --- nobody knows -------------------------------------------------------------------------------


async def closes_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def closes_after_the_request(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(
    "serve",
    [
        closes_at_once,
        closes_after_the_request,
        resets,
        says_nothing,
        answering(b"no http at all\r\n\r\n"),
        answering(b"HTTP/1.1 201 Crea"),
        answering(b'HTTP/1.1 201 Created\r\nContent-Length: 999\r\n\r\n{"name": "batchj'),
        answering(http(201, {"id": "", "properties": {}})),
        answering(http(201, {"name": "no/usable name"})),
        answering(http(201, {"name": ".."})),
        answering(http(200, "created, thank you")),
        answering(http(200, [])),
        answering(http(202, "")),
    ],
    ids=[
        "closed at once",
        "closed after the request",
        "reset",
        "no answer",
        "garbage",
        "half a head",
        "half a body",
        "no name",
        "no usable name",
        "a name that leads elsewhere",
        "no json",
        "another shape",
        "empty",
    ],
)
async def test_without_a_whole_and_usable_answer_the_outcome_is_unclear(
    serve: Serve, folder: RunFolder
) -> None:
    async with server(serve, folder.server_tls()) as url:
        assert isinstance(await post(url, post_seconds=0.5), Unclear)


async def test_a_post_may_take_longer_than_other_requests(folder: RunFolder) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.4)
        writer.write(http(201, TAKEN))
        await writer.drain()

    hasty = httpx.Timeout(0.1, connect=5.0)
    async with server(slow, folder.server_tls()) as url:
        assert isinstance(await post(url, others=hasty), Accepted)


async def test_a_kept_alive_connection_that_drops_does_not_send_the_post_again(
    folder: RunFolder,
) -> None:
    """Whether the service saw the second POST is not known, so it must not be repeated."""
    requests: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        requests.append(head)
        writer.write(http(201, TAKEN))
        await writer.drain()
        head, _ = await read_request(reader)
        requests.append(head)

    async with server(serve, folder.server_tls()) as url, endpoints() as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        assert isinstance(await made.submit(endpoint, SUBMISSION), Accepted)
        assert isinstance(await made.submit(endpoint, SUBMISSION), Unclear)
    assert len(requests) == 2


@pytest.mark.parametrize(
    "serve",
    [
        dripping(b"HTTP/1.1 201 Created\r\n\r\n"),
        answering(http(201, TAKEN, "Content-Encoding: gzip\r\n")),
        answering(http(201, TAKEN, "Content-Encoding: br\r\n")),
        answering(packed(201)),
        answering(http(201, '{"a":' * 5_000)),
        answering(http(201, {"name": 5, "id": 7})),
        answering(http(201, {"name": {"a": []}})),
        answering(http(201, {"name": "x" * 300})),
    ],
    ids=[
        "a body that drips",
        "not packed as it says",
        "packed otherwise",
        "a bomb",
        "deep",
        "a name that is a number",
        "a name that is a document",
        "a long name",
    ],
)
async def test_a_success_that_cannot_be_used_is_unclear(serve: Serve, folder: RunFolder) -> None:
    async with server(serve, folder.server_tls()) as url, asyncio.timeout(10):
        assert isinstance(await post(url, post_seconds=1.0), Unclear)


@pytest.mark.parametrize(
    "serve",
    [
        dripping(b"HTTP/1.1 400 Bad\r\n\r\n"),
        answering(http(400, "why", "Content-Encoding: gzip\r\n")),
        answering(packed(400)),
        answering(http(400, '{"a":' * 5_000)),
        answering(b"HTTP/1.1 400 Bad\r\nContent-Length: 999\r\n\r\nhalf"),
        answering(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n\xff\xfe"),
        answering(http(400, "why", "Retry-After: " + "9" * 400 + "\r\n")),
    ],
    ids=["drips", "not packed", "a bomb", "deep", "half", "no text", "an endless wait"],
)
async def test_a_refusal_is_definite_whatever_its_body(
    serve: Serve, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job would be looked for in vain that was never made."""
    monkeypatch.setattr("scoring.azure.answers._REFUSAL_WITHIN", 0.2)
    async with server(serve, folder.server_tls()) as url, asyncio.timeout(10):
        answer = await post(url, post_seconds=2.0)
    assert isinstance(answer, ErrorAnswer)
    assert answer.status == 400
    assert answer.retry_after <= 86_400


async def test_without_a_token_nothing_was_sent(folder: RunFolder) -> None:
    class Away(StaticCredential):
        async def get_token(self, *_: str, **__: Any) -> AccessToken:
            raise ValueError("no identity here")

    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(1))

    away = Access(Identity(lambda: Away("")), "scope", lambda _: None)
    async with server(serve, folder.server_tls()) as url, new_client() as client:
        made = AzureBatchEndpoints(AuthorizedHttp(client, away), post_seconds=1.0)
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        answer = await made.submit(endpoint, SUBMISSION)
        with pytest.raises(Unavailable, match="no identity here"):
            await made.batch_job(endpoint, "batchjob-1")
    assert isinstance(answer, NotSent)
    assert "no identity here" in answer.message
    assert requests == []


async def test_a_name_that_cannot_be_looked_up_is_no_end_of_the_function(
    folder: RunFolder,
) -> None:
    """A label of more than 63 characters; no resolver takes it."""
    for url in (f"https://{'a' * 70}.invalid", "https://localhost:99999"):
        answer = await post(url)
        assert isinstance(answer, ErrorAnswer | NotSent | Unclear)


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201])
async def test_a_success_names_the_batch_job(status: int, folder: RunFolder) -> None:
    async with server(answering(http(status, TAKEN)), folder.server_tls()) as url:
        assert await post(url) == Accepted(batch_job="batchjob-1")


async def test_the_name_may_have_to_be_taken_from_the_id(folder: RunFolder) -> None:
    answer = {"id": "/subscriptions/s/batchEndpoints//jobs/abc-1", "properties": {"name": "fig"}}
    async with server(answering(http(201, answer)), folder.server_tls()) as url:
        assert await post(url) == Accepted(batch_job="abc-1")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {"error": {"code": "BadRequest", "message": "No valid deployments to route to"}},
            "BadRequest: No valid deployments to route to",
        ),
        (
            [{"PropertyName": "InputData", "ErrorMessage": "is required", "ErrorCode": "x"}],
            "InputData: is required",
        ),
        ("plain\ntext", "plain text"),
    ],
)
async def test_a_refusal_says_what_the_service_said(
    document: object, message: str, folder: RunFolder
) -> None:
    answer = http(429, document, "Retry-After: 7\r\n")
    async with server(answering(answer), folder.server_tls()) as url:
        assert await post(url) == ErrorAnswer(status=429, message=message, retry_after=7.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("Retry-After: 7\r\n", 7.0),
        (
            "Retry-After: Tue, 24 Nov 2026 12:00:30 GMT\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n",
            30.0,
        ),
        (
            "Retry-After: Tue, 24 Nov 2026 11:00:00 GMT\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n",
            0.0,
        ),
        ("Retry-After: soon\r\n", 0.0),
        ("", 0.0),
    ],
    ids=["seconds", "a time", "a time gone by", "a word", "nothing"],
)
async def test_how_long_to_wait_may_be_said_in_seconds_or_as_a_time(
    headers: str, seconds: float, folder: RunFolder
) -> None:
    throttled = answering(http(429, {"error": {"message": "slow"}}, headers))
    async with server(throttled, folder.server_tls()) as url:
        answer = await post(url)
    assert isinstance(answer, ErrorAnswer)
    assert answer.retry_after == seconds


async def test_a_redirect_is_not_followed(folder: RunFolder) -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        requests += 1
        writer.write(http(307, "", "Location: /elsewhere\r\n"))
        await writer.drain()

    async with server(serve, folder.server_tls()) as url:
        answer = await post(url)
    assert isinstance(answer, ErrorAnswer)
    assert (answer.status, requests) == (307, 1)


async def test_a_refused_token_is_replaced_once(folder: RunFolder) -> None:
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            (line,) = [one for one in head.splitlines() if one.lower().startswith("authoriz")]
            seen.append(line.split()[-1])
            writer.write(http(201, TAKEN) if seen[-1] == "fresh" else http(401, ""))
            await writer.drain()

    async with server(serve, folder.server_tls()) as url, endpoints("stale", "fresh") as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        assert isinstance(await made.submit(endpoint, SUBMISSION), Accepted)
    assert seen == ["stale", "fresh"]


async def test_no_token_goes_to_a_host_that_is_not_allowed(folder: RunFolder) -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.read()

    async with server(serve, folder.server_tls()) as url:
        answer = await post(url.replace("localhost", "127.0.0.1"))
    assert isinstance(answer, ErrorAnswer)
    assert "LANDFALL_ALLOWED_HOSTS" in answer.message
    assert requests == 0


async def test_the_request_is_the_articles(folder: RunFolder) -> None:
    seen: list[tuple[str, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(http(201, TAKEN))
        await writer.drain()

    async with server(serve, folder.server_tls()) as url:
        await post(url)
    head, body = seen[0]
    properties = json.loads(body)["properties"]
    assert head.startswith("POST /jobs HTTP/1.1")
    assert "azureml-model-deployment: xgboost" in head
    request_id = uuid.uuid5(uuid.NAMESPACE_OID, SUBMISSION.tag)
    assert f"repeatability_request-id: {request_id}" in head
    assert (properties["description"], properties["tags"]) == (
        SUBMISSION.tag,
        {"landfall": SUBMISSION.tag},
    )
    assert properties["compute"] == {"instanceCount": 4}
    assert properties["InputData"] == {
        "input": {"JobInputType": "UriFile", "Uri": SUBMISSION.input_uri}
    }
    assert properties["OutputData"] == {
        "output": {"JobOutputType": "UriFile", "Uri": SUBMISSION.output_uri}
    }


# --- asking -------------------------------------------------------------------------------------


async def ask(document: object, folder: RunFolder, status: int = 200) -> object:
    serve = answering(http(status, document))
    async with server(serve, folder.server_tls()) as url, endpoints() as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        return await made.batch_job(endpoint, "batchjob-1")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *[(one, JobState.OPEN) for one in ("NotStarted", "Starting", "Provisioning", "Preparing")],
        ("Queued", JobState.OPEN),
        ("Running", JobState.RUNNING),
        ("Finalizing", JobState.RUNNING),
        ("CancelRequested", JobState.CANCELING),
        *[(one, JobState.OPEN) for one in ("NotResponding", "Paused", "Unknown", "JustInvented")],
        ("Completed", JobState.COMPLETED),
        ("completed", JobState.COMPLETED),
        ("FAILED", JobState.FAILED),
        ("Canceled", JobState.CANCELED),
        ("", JobState.OPEN),
    ],
)
async def test_every_state_has_a_meaning(status: str, state: JobState, folder: RunFolder) -> None:
    job = await ask({"name": "batchjob-1", "properties": {"status": status}}, folder)
    assert getattr(job, "state", None) is state


async def test_a_batch_job_that_the_endpoint_does_not_know_is_none(folder: RunFolder) -> None:
    assert await ask({"error": {"code": "NotFound"}}, folder, status=404) is None


@pytest.mark.parametrize("status", [500, 429, 302, 401, 403])
async def test_an_answer_without_a_job_is_no_news(status: int, folder: RunFolder) -> None:
    async with (
        server(_always(http(status, "")), folder.server_tls()) as url,
        endpoints("a", "b") as m,
    ):
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        with pytest.raises(Unavailable):
            await m.batch_job(endpoint, "batchjob-1")


def _always(raw: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(raw)
            await writer.drain()

    return serve


async def test_a_listing_is_read_page_by_page_and_a_cut_one_is_none(folder: RunFolder) -> None:
    pages: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(pages.pop(0))
            await writer.drain()

    async with server(serve, folder.server_tls()) as url, endpoints() as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        first = {"value": [{"name": "a"}, {"no": "name"}], "nextLink": f"{url}/jobs?page=2"}
        pages[:] = [http(200, first), http(200, {"value": [{"name": "b"}]})]
        assert [job.name for job in await made.batch_jobs(endpoint)] == ["a", "b"]
        for second in (http(500, ""), http(200, {}), http(200, {"value": None})):
            pages[:] = [http(200, first), second]
            with pytest.raises(Unavailable):
                await made.batch_jobs(endpoint)


@pytest.mark.parametrize(
    "page",
    [
        {"value": [None]},
        {"value": ["a"]},
        {"value": [{"properties": {"description": SUBMISSION.tag}}]},
        {"value": [{"name": "no usable", "properties": {"tags": {"landfall": SUBMISSION.tag}}}]},
        {"value": [{"name": 5, "properties": {"outputData": {"o": {"uri": "azureml://x"}}}}]},
        {"value": [], "nextLink": 5},
    ],
)
async def test_a_listing_with_what_may_be_an_attempt_and_has_no_name_is_none(
    page: object, folder: RunFolder
) -> None:
    """Else an attempt would be declared lost, and made again, while its batch job runs."""
    async with server(answering(http(200, page)), folder.server_tls()) as url, endpoints() as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs", default_deployment=None)
        with pytest.raises(Unavailable):
            await made.batch_jobs(endpoint)


async def test_a_listing_that_leads_in_a_circle_ends_at_once(folder: RunFolder) -> None:
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await read_request(reader)
            requests += 1
            writer.write(http(200, {"value": [], "nextLink": f"{url}/jobs?page={requests % 2}"}))
            await writer.drain()

    async with server(serve, folder.server_tls()) as url, endpoints() as made:
        endpoint = BatchEndpoint(scoring_uri=f"{url}/jobs?page=0", default_deployment=None)
        with pytest.raises(Unavailable, match="does not come to an end"):
            await made.batch_jobs(endpoint)
    assert requests == 2


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {"name": None},
        {"name": "a", "properties": []},
        {"name": "a", "properties": {"status": 5, "tags": 5, "error": 5, "description": {}}},
        {"name": "a", "properties": {"interactionEndpoints": {"Studio": {"endpoint": 5}}}},
        {"name": "a", "properties": {"OutputData": {"o": None}, "outputData": []}},
        {"name": "a", "status": ["Completed"], "properties": None},
    ],
)
def test_a_batch_job_of_another_shape_ends_nothing(document: object) -> None:
    job = batch_job_in(document)
    assert job is None or job.state is JobState.OPEN
