"""Each way a POST can go wrong, over real sockets: what the endpoint was for certain not asked,
and what nobody knows.
"""

import asyncio
import json
import socket
import ssl
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from local.credential import StaticCredential
from local.run_folder import RunFolder
from scoring.azure.batch_endpoint import AzureBatchEndpoints
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

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SUBMISSION = Submission(
    tag="landfall-k-1",
    deployment="xgboost",
    kind="file",
    input_uri="azureml://datastores/d/paths/landing/a.csv",
    output_uri="azureml://datastores/d/paths/scored/k/predictions.csv",
    settings=JobSettings(instance_count=4),
)
TAKEN = {"name": "batchjob-1", "id": "/x//jobs/batchjob-1", "properties": {"name": "witty_fig"}}


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None) -> AsyncIterator[str]:
    """A TLS server that does with each connection what the test says; yield its base URL."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield f"https://localhost:{listening.sockets[0].getsockname()[1]}"
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        (int(line.split(":")[1]) for line in head.splitlines() if "content-length" in line.lower()),
        0,
    )
    return head, await reader.readexactly(length)


def answering(raw: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return serve


def http(status: int, document: object, headers: str = "") -> bytes:
    body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def endpoints(
    *tokens: str, post_seconds: float = 5.0, others: httpx.Timeout | None = None
) -> AsyncIterator[AzureBatchEndpoints]:
    left = list(tokens) or ["token"]
    identity = Identity(lambda: StaticCredential(left.pop(0)))
    async with new_client(others or httpx.Timeout(5.0)) as client:
        authorized = AuthorizedHttp(client, identity, "scope", ("localhost", "invalid"))
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
