import asyncio
import base64
import gzip
import io
import json
import os
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import aiohttp
import httpx
import msgspec
import pytest
from aiohttp import web
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, BlobSasPermissions, ContentSettings, generate_blob_sas
from azure.storage.blob.aio import BlobClient, ContainerClient
from azure.storage.queue.aio import QueueClient

from local import storage, tokens
from local.credential import StaticCredential
from local.faults import Fault, Handler
from local.names import (
    ACCOUNT_KEYS,
    APP_ACCOUNT,
    CONTAINER,
    LANDING_ACCOUNT,
    LANDINGS_QUEUE,
    LEDGER_CONTAINER,
    ML_AUDIENCE,
    STORAGE_AUDIENCE,
    storage_account_id,
)
from local.run_folder import RunFolder
from local.serving import serve
from local.storage import Storage, azurite, operations
from local.storage.events import Behaviour
from local.storage.operations import Operation
from local.storage.relay import relay

NASTY_NAMES = [
    "two words.csv",
    "100%.csv",
    "already%20escaped",
    "sharp#s",
    "question?mark=1&comp=metadata",
    "plus+plus",
    "quotes'\"`",
    "ünïcödé/漢字",
    "😀.csv",
    ".hidden/..twice",
    "a;b,c=d:e@f!$*()[]|^~{}<>",
    "/".join(["s" * 199] * 5)[:900],
    "😀" * 1000,
]
CSV = ContentSettings(content_type="text/csv")


def credential(audience: str) -> StaticCredential:
    return StaticCredential(tokens.issue(audience, client="test"))


def bearer(audience: str = STORAGE_AUDIENCE) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {tokens.issue(audience, client='test')}",
        "x-ms-version": "2024-11-04",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return RunFolder(tmp_path_factory.mktemp("storage"))


@pytest.fixture(scope="module")
async def running(folder: RunFolder) -> AsyncIterator[Storage]:
    async with storage.start(folder) as part:
        yield part


@pytest.fixture
async def part(running: Storage) -> AsyncIterator[Storage]:
    """The storage service; of earlier tests only the blobs are left."""
    yield running
    running.blob_faults.pending.clear()
    running.queue_faults.pending.clear()
    await running.events.behave(**msgspec.structs.asdict(Behaviour()))
    await landed_events(running)
    running.operations.log.clear()


@pytest.fixture
async def landing(part: Storage, folder: RunFolder) -> AsyncIterator[ContainerClient]:
    """The landing container, as the product opens it."""
    async with ContainerClient(
        f"{part.blob}/{LANDING_ACCOUNT}",
        CONTAINER,
        credential=credential(STORAGE_AUDIENCE),
        connection_verify=str(folder.ca_file),
        retry_total=0,
    ) as client:
        yield client


@pytest.fixture
async def wire(folder: RunFolder) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends each request once."""
    async with httpx.AsyncClient(verify=folder.client_tls()) as client:
        yield client


async def landed_messages(part: Storage) -> list[str]:
    """Take all messages from the queue of the app."""
    async with QueueClient.from_connection_string(
        part.connection_string(APP_ACCOUNT), LANDINGS_QUEUE
    ) as queue:
        found = [message async for message in queue.receive_messages(messages_per_page=32)]
        await queue.clear_messages()
    return [message.content for message in found]


async def landed_events(part: Storage) -> list[dict[str, Any]]:
    return [json.loads(base64.b64decode(text)) for text in await landed_messages(part)]


def blob_name(event: dict[str, Any]) -> str:
    return str(event["subject"]).partition("/blobs/")[2]


# Names and bodies


@pytest.mark.parametrize("name", NASTY_NAMES, ids=range(len(NASTY_NAMES)))
async def test_any_name_is_kept_in_the_blob_the_event_and_the_log(
    name: str, part: Storage, landing: ContainerClient
) -> None:
    await landing.upload_blob(name, name.encode())

    assert await (await landing.download_blob(name)).readall() == name.encode()
    assert [blob.name async for blob in landing.list_blobs(name_starts_with=name)] == [name]
    assert {entry.blob for entry in part.operations.log if entry.operation == "GetBlob"} == {name}
    (event,) = await landed_events(part)
    assert event["subject"] == f"/blobServices/default/containers/{CONTAINER}/blobs/{name}"
    assert unquote(urlsplit(event["data"]["url"]).path) == f"/{CONTAINER}/{name}"


async def test_a_backslash_is_a_slash(part: Storage, wire: httpx.AsyncClient) -> None:
    """As in Azure; the SDK cannot find such a blob."""
    blobs = f"{part.blob}/{LANDING_ACCOUNT}/{CONTAINER}"
    put = bearer() | {"x-ms-blob-type": "BlockBlob"}

    await wire.put(f"{blobs}/back%5Cslash", content=b"a", headers=put)

    assert (await wire.get(f"{blobs}/back/slash", headers=bearer())).content == b"a"
    assert [blob_name(event) for event in await landed_events(part)] == ["back/slash"]


@pytest.mark.parametrize("name", NASTY_NAMES, ids=range(len(NASTY_NAMES)))
@pytest.mark.parametrize("http", [True, False], ids=["http", "https"])
async def test_a_request_signed_with_a_key_may_have_any_name(
    name: str, http: bool, part: Storage, folder: RunFolder
) -> None:
    connection = part.connection_string(LANDING_ACCOUNT, http=http)
    async with ContainerClient.from_connection_string(
        connection, CONTAINER, connection_verify=str(folder.ca_file)
    ) as people:
        await people.upload_blob(name, b"by key", overwrite=True, metadata={"from": "people"})

        assert await (await people.download_blob(name)).readall() == b"by key"
    assert {entry.actor for entry in part.operations.log} == {"key"}


async def test_a_large_file_arrives_whole_in_blocks(
    part: Storage, landing: ContainerClient, folder: RunFolder
) -> None:
    body = os.urandom(2_500_000)
    async with ContainerClient(
        f"{part.blob}/{LANDING_ACCOUNT}",
        CONTAINER,
        credential=credential(STORAGE_AUDIENCE),
        connection_verify=str(folder.ca_file),
        max_single_put_size=1_000_000,
        max_block_size=1_000_000,
    ) as in_blocks:
        await in_blocks.upload_blob("large", io.BytesIO(body), max_concurrency=2)

    assert await (await landing.download_blob("large")).readall() == body
    written = [entry.operation for entry in part.operations.log if "Put" in entry.operation]
    assert sorted(written) == ["PutBlock"] * 3 + ["PutBlockList"]


async def test_compressed_bodies_stay_compressed(part: Storage, wire: httpx.AsyncClient) -> None:
    url = f"{part.blob}/{LANDING_ACCOUNT}/{CONTAINER}/packed"
    packed = gzip.compress(b"a,b\n" * 100)
    encoding = {"Content-Encoding": "gzip", "x-ms-blob-content-encoding": "gzip"}

    put = bearer() | encoding | {"x-ms-blob-type": "BlockBlob"}
    assert (await wire.put(url, content=packed, headers=put)).status_code == 201

    async with wire.stream("GET", url, headers=bearer()) as got:
        assert b"".join([chunk async for chunk in got.aiter_raw()]) == packed
    assert got.headers["Content-Encoding"] == "gzip"


async def test_eight_kilobytes_of_metadata_and_a_long_name_fit(landing: ContainerClient) -> None:
    blob = await landing.upload_blob(NASTY_NAMES[-1] + "!", b"")

    await blob.set_blob_metadata({"state": "s" * 8187})

    assert (await blob.get_blob_properties()).metadata == {"state": "s" * 8187}


async def halves() -> AsyncIterator[bytes]:
    yield b"one "
    yield b"two"


@pytest.mark.parametrize(
    "target", ["/%41/%c3%a4/100%zz?e=%2B+&f", "//a/./b/../c//?restype=container"]
)
@pytest.mark.parametrize(
    ("method", "content"), [("GET", None), ("PUT", None), ("PUT", b"one two"), ("PUT", halves)]
)
async def test_a_request_is_relayed_unchanged(
    method: str, content: Any, target: str, wire: httpx.AsyncClient
) -> None:
    """The server receives the same target, headers and body, and no others."""

    async def show(request: web.Request) -> web.Response:
        headers = sorted((name.lower(), value) for name, value in request.headers.items())
        body = (await request.read()).decode()
        return web.json_response([request.method, request.raw_path, headers, body])

    async def pass_on(request: web.Request) -> web.StreamResponse:
        return await relay(request, session, server)

    async def ask(base: str) -> Any:
        body = content() if callable(content) else content
        request = wire.build_request(method, base, headers={"Host": "kept"}, content=body)
        request.url = request.url.copy_with(raw_path=target.encode())
        for name in ("Accept", "Accept-Encoding", "Connection", "User-Agent"):
            del request.headers[name]
        return (await wire.send(request)).json()

    async with (
        serve(catching_all(show)) as server,
        aiohttp.ClientSession() as session,
        serve(catching_all(pass_on)) as proxy,
    ):
        assert await ask(proxy) == await ask(server)


async def test_a_server_that_cannot_be_reached_is_a_bad_gateway(wire: httpx.AsyncClient) -> None:
    async def pass_on(request: web.Request) -> web.StreamResponse:
        return await relay(request, session, closed)

    async with serve(web.Application()) as closed:
        pass
    async with aiohttp.ClientSession() as session, serve(catching_all(pass_on)) as proxy:
        answer = await wire.get(f"{proxy}/a")

    assert (answer.status_code, answer.text[:14]) == (502, "not passed on:")


def catching_all(handler: Handler) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{target:.*}", handler)
    return app


async def test_conditions_reach_the_service(landing: ContainerClient) -> None:
    blob = await landing.upload_blob("claimed", b"first", metadata={"state": "new"})
    first = (await blob.get_blob_properties()).etag

    with pytest.raises(ResourceExistsError):
        await landing.upload_blob("claimed", b"second")
    await blob.set_blob_metadata(
        {"state": "old"}, etag=first, match_condition=MatchConditions.IfNotModified
    )
    with pytest.raises(ResourceModifiedError):
        await blob.set_blob_metadata({}, etag=first, match_condition=MatchConditions.IfNotModified)


# Identity


@pytest.mark.parametrize("service", ["blob", "queue"])
async def test_a_token_for_another_audience_is_refused(
    service: Literal["blob", "queue"], part: Storage, wire: httpx.AsyncClient
) -> None:
    url = f"{getattr(part, service)}/{APP_ACCOUNT}?comp=list"

    assert (await wire.get(url, headers=bearer())).status_code == 200
    assert (await wire.get(url, headers=bearer(ML_AUDIENCE))).status_code == 403


async def test_another_key_is_refused(part: Storage) -> None:
    """The proxy does not sign requests: Azurite checks the signature of the client."""
    async with BlobClient(
        f"{part.blob_http}/{LANDING_ACCOUNT}",
        CONTAINER,
        "forged",
        credential={"account_name": LANDING_ACCOUNT, "account_key": ACCOUNT_KEYS[APP_ACCOUNT]},
    ) as forger:
        with pytest.raises(ClientAuthenticationError):
            await forger.upload_blob(b"")


async def test_a_token_opens_the_queue_over_tls(part: Storage, folder: RunFolder) -> None:
    async with QueueClient(
        f"{part.queue}/{APP_ACCOUNT}",
        LANDINGS_QUEUE,
        credential=credential(STORAGE_AUDIENCE),
        connection_verify=str(folder.ca_file),
    ) as queue:
        await queue.send_message("<hello> & goodbye")

    assert await landed_messages(part) == ["<hello> & goodbye"]


# Events


async def put_blob(container: ContainerClient, name: str) -> Mapping[str, Any]:
    return await container.get_blob_client(name).upload_blob(b"a,b\n", content_settings=CSV)


async def put_block_list(container: ContainerClient, name: str) -> Mapping[str, Any]:
    blob = container.get_blob_client(name)
    await blob.stage_block("1", b"a,b\n")
    await blob.stage_block("2", b"1,2\n")
    return await blob.commit_block_list([BlobBlock("1"), BlobBlock("2")], content_settings=CSV)


async def copy_blob(container: ContainerClient, name: str) -> Mapping[str, Any]:
    source = await container.upload_blob(f"source of {name}", b"a,b\n", content_settings=CSV)
    return await container.get_blob_client(name).start_copy_from_url(source.url)


async def copy_blob_at_once(container: ContainerClient, name: str) -> Mapping[str, Any]:
    source = await container.upload_blob(f"source of {name}", b"a,b\n", content_settings=CSV)
    blob = container.get_blob_client(name)
    return await blob.start_copy_from_url(source.url, requires_sync=True)


async def create_append_blob(container: ContainerClient, name: str) -> Mapping[str, Any]:
    return await container.get_blob_client(name).create_append_blob(content_settings=CSV)


async def create_page_blob(container: ContainerClient, name: str) -> Mapping[str, Any]:
    return await container.get_blob_client(name).create_page_blob(512, content_settings=CSV)


@pytest.mark.parametrize(
    ("write", "facts"),
    [
        (put_blob, ("PutBlob", "BlockBlob", 4)),
        (put_block_list, ("PutBlockList", "BlockBlob", 8)),
        (copy_blob, ("CopyBlob", "BlockBlob", 4)),
        (copy_blob_at_once, ("CopyBlob", "BlockBlob", 4)),
        (create_append_blob, ("PutBlob", "AppendBlob", 0)),
        (create_page_blob, ("PutBlob", "PageBlob", 512)),
    ],
)
async def test_each_write_that_commits_a_blob_raises_one_event_about_it(
    write: Callable[[ContainerClient, str], Awaitable[Mapping[str, Any]]],
    facts: tuple[str, str, int],
    part: Storage,
    landing: ContainerClient,
) -> None:
    written = await write(landing, write.__name__)

    events = await landed_events(part)
    (data,) = [event["data"] for event in events if blob_name(event) == write.__name__]
    assert (data["api"], data["blobType"], data["contentLength"]) == facts
    assert data["contentType"] == "text/csv"
    assert data["eTag"] == written["etag"].strip('"')
    assert data["requestId"] == written["request_id"]
    assert data["clientRequestId"] == written["client_request_id"]


async def test_an_event_has_the_form_of_event_grid(part: Storage, landing: ContainerClient) -> None:
    before = datetime.now(UTC)
    await landing.upload_blob("formed/one two.csv", b"")

    (event,) = await landed_events(part)
    data = event.pop("data")
    assert before <= datetime.fromisoformat(event.pop("eventTime")) <= datetime.now(UTC)
    assert uuid.UUID(event.pop("id"))
    assert event == {
        "topic": storage_account_id(LANDING_ACCOUNT),
        "subject": f"/blobServices/default/containers/{CONTAINER}/blobs/formed/one two.csv",
        "eventType": "Microsoft.Storage.BlobCreated",
        "dataVersion": "",
        "metadataVersion": "1",
    }
    host = f"{LANDING_ACCOUNT}.localhost:{urlsplit(part.blob).port}"
    assert data["url"] == f"https://{host}/{CONTAINER}/formed/one%20two.csv"
    assert re.fullmatch("[0-9a-f]{64}", data["sequencer"])
    assert data["storageDiagnostics"].keys() == {"batchId"}


async def test_an_event_can_have_the_form_of_cloud_events(
    part: Storage, landing: ContainerClient
) -> None:
    await part.events.behave(schema="cloudevents")
    await landing.upload_blob("cloudy.csv", b"a")

    (event,) = await landed_events(part)
    assert event.keys() == {"source", "subject", "type", "time", "id", "data", "specversion"}
    assert event["source"] == storage_account_id(LANDING_ACCOUNT)
    assert (event["type"], event["specversion"]) == ("Microsoft.Storage.BlobCreated", "1.0")
    assert event["data"]["contentLength"] == 1


async def test_the_url_of_an_event_leads_to_the_blob(
    part: Storage, landing: ContainerClient, wire: httpx.AsyncClient
) -> None:
    """The account is in the host name, which most resolvers do not know: hence the Host header."""
    await landing.upload_blob("by/host", b"found")
    (event,) = await landed_events(part)
    url = urlsplit(event["data"]["url"])

    found = await wire.get(part.blob + url.path, headers=bearer() | {"Host": url.netloc})

    assert found.content == b"found"
    assert part.operations.log[-1].account == LANDING_ACCOUNT
    assert part.operations.log[-1].blob == "by/host"


async def test_a_request_that_commits_no_blob_raises_no_event(
    part: Storage, landing: ContainerClient
) -> None:
    blob = await landing.upload_blob("quiet", b"a", metadata={"a": "b"})
    assert len(await landed_events(part)) == 1

    await blob.set_blob_metadata({"a": "c"})
    await blob.stage_block("1", b"never committed")
    with pytest.raises(ResourceExistsError):
        await blob.upload_blob(b"b")
    await blob.delete_blob()

    assert await landed_events(part) == []


async def test_the_account_of_the_app_raises_no_events(part: Storage) -> None:
    async with ContainerClient.from_connection_string(
        part.connection_string(APP_ACCOUNT), LEDGER_CONTAINER
    ) as ledger:
        await ledger.upload_blob("open/job", b"{}")

    assert await landed_events(part) == []


async def test_each_of_many_writers_of_one_blob_gets_its_event(
    part: Storage, landing: ContainerClient
) -> None:
    """Also a writer whose blob is overwritten before its properties are read."""
    blob = landing.get_blob_client("contested")
    await blob.stage_block("1", b"same")
    writes = [blob.commit_block_list([BlobBlock("1")]) for _ in range(10)]

    tags = {str(written["etag"]).strip('"') for written in await asyncio.gather(*writes)}

    events = await landed_events(part)
    assert len(events) == 10
    assert {event["data"]["eTag"] for event in events} == tags


async def test_each_of_many_writers_of_one_blob_gets_its_length(
    part: Storage, landing: ContainerClient
) -> None:
    writes = [landing.upload_blob("disputed", b"a" * n, overwrite=True) for n in range(10)]

    await asyncio.gather(*writes)

    lengths = [event["data"]["contentLength"] for event in await landed_events(part)]
    assert sorted(lengths) == list(range(10))


async def test_later_events_have_greater_sequencers(
    part: Storage, landing: ContainerClient
) -> None:
    for _ in range(17):
        await landing.upload_blob("again", b"", overwrite=True)

    sequencers = [event["data"]["sequencer"] for event in await landed_events(part)]
    assert len(sequencers) == 17
    assert sequencers == sorted(set(sequencers))


async def test_copies_of_an_event_are_identical(part: Storage, landing: ContainerClient) -> None:
    await part.events.behave(copies=3)
    await landing.upload_blob("tripled", b"")

    messages = await landed_messages(part)
    assert (len(messages), len(set(messages))) == (3, 1)


@pytest.mark.parametrize(("order", "delivered"), [("as-raised", "abc"), ("reversed", "cba")])
async def test_held_events_are_delivered_in_the_chosen_order(
    order: str, delivered: str, part: Storage, landing: ContainerClient
) -> None:
    await part.events.behave(hold=True)
    for name in "abc":
        await landing.upload_blob(name, b"", overwrite=True)
    assert await landed_events(part) == []
    assert part.events.held == 3

    await part.events.behave(hold=False, order=order)

    assert [blob_name(event) for event in await landed_events(part)] == list(delivered)
    assert part.events.held == 0


async def test_dropped_events_are_never_raised(part: Storage, landing: ContainerClient) -> None:
    await part.events.behave(drop=2)
    for name in ("first", "second", "third"):
        await landing.upload_blob(name, b"")

    assert [blob_name(event) for event in await landed_events(part)] == ["third"]


async def test_messages_can_be_plain_json(part: Storage, landing: ContainerClient) -> None:
    await part.events.behave(encoding="plain")
    await landing.upload_blob("<plain> & simple", b"")

    (message,) = await landed_messages(part)
    assert blob_name(json.loads(message)) == "<plain> & simple"


async def test_events_are_controlled_over_http(
    part: Storage, landing: ContainerClient, wire: httpx.AsyncClient
) -> None:
    path = f"{part.blob_http}/_admin/events"
    before = (await wire.get(path)).json()

    changed = await wire.post(path, json={"hold": True, "copies": 2})
    await landing.upload_blob("held", b"")

    assert changed.json() == before | {"hold": True, "copies": 2}
    after = (await wire.get(path)).json()
    assert (after["raised"], after["held"]) == (before["raised"] + 1, 1)


@pytest.mark.parametrize("nonsense", ['{"copies": 0}', '{"hodl": true}', "[]", "{"])
async def test_a_behaviour_that_does_not_exist_is_refused(
    nonsense: str, part: Storage, wire: httpx.AsyncClient
) -> None:
    answer = await wire.post(f"{part.blob_http}/_admin/events", content=nonsense)

    assert (answer.status_code, answer.text[:16]) == (400, "not a behaviour:")
    assert part.events.behaviour == Behaviour()


# Operations


async def test_an_operation_has_actor_name_blob_and_status(
    part: Storage, landing: ContainerClient
) -> None:
    await landing.upload_blob("counted", b"")
    with pytest.raises(ResourceNotFoundError):
        await landing.get_blob_client("missing").get_blob_properties()

    put, get = part.operations.log
    assert put == Operation(
        actor="test",
        account=LANDING_ACCOUNT,
        operation="PutBlob",
        container=CONTAINER,
        blob="counted",
        status=201,
    )
    assert (get.operation, get.blob, get.status) == ("GetBlobProperties", "missing", 404)


async def test_operations_can_be_filtered_and_cleared(
    part: Storage, landing: ContainerClient, wire: httpx.AsyncClient
) -> None:
    await landing.get_container_properties()
    await landing.upload_blob("filtered", b"")
    path = f"{part.blob_http}/_admin/operations"

    everything = (await wire.get(path)).json()
    puts = (await wire.get(path, params={"actor": "test", "operation": "PutBlob"})).json()
    nothing = (await wire.get(path, params={"account": APP_ACCOUNT})).json()

    assert [entry["operation"] for entry in everything] == ["GetContainerProperties", "PutBlob"]
    assert puts == everything[1:]
    assert nothing == []
    assert (await wire.get(path, params={"colour": "red"})).status_code == 400
    assert (await wire.delete(path)).status_code == 204
    assert part.operations.log == []


@pytest.mark.parametrize(
    ("level", "method", "comp", "headers", "name"),
    [
        ("blob", "PUT", "", {"x-ms-blob-type": "BlockBlob"}, "PutBlob"),
        ("blob", "PUT", "", {"x-ms-copy-source": "https://source"}, "CopyBlob"),
        ("blob", "PUT", "block", {"x-ms-copy-source": "https://source"}, "PutBlock"),
        ("blob", "PUT", "lease", {"x-ms-lease-action": "acquire"}, "AcquireBlobLease"),
        ("container", "PUT", "lease", {"x-ms-lease-action": "break"}, "BreakContainerLease"),
        ("container", "GET", "list", {}, "ListBlobs"),
        ("service", "GET", "list", {}, "ListContainers"),
        ("blob", "PUT", "novelty", {}, "PUT novelty"),
        ("blob", "PATCH", "", {}, "PATCH"),
    ],
)
def test_operations_are_named_as_azure_names_them(
    level: str, method: str, comp: str, headers: dict[str, str], name: str
) -> None:
    assert operations.name(level, method, comp, headers) == name


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Fault(kind="refuse", status=500, body="no"), 500, False),
        (Fault(kind="drop-before"), None, False),
        (Fault(kind="error-after", status=503), 503, True),
        (Fault(kind="drop-after"), None, True),
        (Fault(kind="half-after"), None, True),
        (Fault(kind="delay", seconds=0.1), 201, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_fault_changes_the_answer_and_some_faults_prevent_the_work(
    fault: Fault, status: int | None, done: bool, part: Storage, wire: httpx.AsyncClient
) -> None:
    """If the work is done, its event is raised as well."""
    url = f"{part.blob}/{LANDING_ACCOUNT}/{CONTAINER}/{fault.kind}"
    put = bearer() | {"x-ms-blob-type": "BlockBlob"}
    part.blob_faults.pending.append(fault)
    began = time.monotonic()

    try:
        answer = (await wire.put(url, content=b"a", headers=put)).status_code
    except httpx.TransportError:
        answer = None

    assert answer == status
    assert time.monotonic() - began >= fault.seconds
    assert ((await wire.get(url, headers=bearer())).status_code == 200) is done
    assert len(await landed_events(part)) == done


async def test_a_discarded_answer_blocks_no_later_request(
    part: Storage, wire: httpx.AsyncClient
) -> None:
    """The body of a discarded answer is not fetched."""
    url = f"{part.blob}/{LANDING_ACCOUNT}/{CONTAINER}/long"
    put = bearer() | {"x-ms-blob-type": "BlockBlob"}
    await wire.put(url, content=bytes(3_000_000), headers=put)
    part.blob_faults.pending.append(Fault(kind="error-after", times=3))

    lost = [(await wire.get(url, headers=bearer())).status_code for _ in range(3)]
    got = await wire.get(url, headers=bearer())

    assert lost == [503] * 3
    assert len(got.content) == 3_000_000


async def test_queues_have_faults_of_their_own(part: Storage, wire: httpx.AsyncClient) -> None:
    fault = {"kind": "refuse", "path": f"/{LANDINGS_QUEUE}/messages", "status": 500}
    assert (await wire.post(f"{part.queue}/_faults", json=fault)).status_code == 201
    url = f"{part.queue}/{APP_ACCOUNT}/{LANDINGS_QUEUE}/messages"

    assert (await wire.get(url, headers=bearer())).status_code == 500
    assert (await wire.get(url, headers=bearer())).status_code == 200
    assert part.blob_faults.pending == []


async def test_faults_do_not_apply_to_the_admin_paths(
    part: Storage, wire: httpx.AsyncClient
) -> None:
    part.blob_faults.pending.append(Fault(kind="refuse", times=-1))

    assert (await wire.get(f"{part.blob}/_admin/events")).status_code == 200
    assert (await wire.get(f"{part.blob}/_admin/operations")).status_code == 200


async def test_an_interrupted_upload_leaves_nothing(part: Storage, wire: httpx.AsyncClient) -> None:
    url = f"{part.blob}/{LANDING_ACCOUNT}/{CONTAINER}/half"

    async def half() -> AsyncIterator[bytes]:
        yield b"half of it"
        raise ConnectionAbortedError

    headers = bearer() | {"x-ms-blob-type": "BlockBlob", "Content-Length": "20"}
    with pytest.raises(ConnectionAbortedError):
        await wire.put(url, content=half(), headers=headers)

    assert (await wire.get(url, headers=bearer())).status_code == 404
    assert await landed_events(part) == []


# Start and end


async def test_the_containers_and_the_queue_exist_from_the_start(
    part: Storage, folder: RunFolder, wire: httpx.AsyncClient
) -> None:
    addresses = folder.addresses()["storage"]
    needed = [
        f"{addresses['blob']}/{LANDING_ACCOUNT}/{CONTAINER}?restype=container",
        f"{addresses['blob']}/{APP_ACCOUNT}/{LEDGER_CONTAINER}?restype=container",
        f"{addresses['queue']}/{APP_ACCOUNT}/{LANDINGS_QUEUE}?comp=metadata",
    ]

    found = [(await wire.get(url, headers=bearer())).status_code for url in needed]

    assert found == [200, 200, 200]
    assert addresses["connection_strings"][APP_ACCOUNT] == part.connection_string(APP_ACCOUNT)
    assert (addresses["blob_http"], addresses["queue_http"]) == (part.blob_http, part.queue_http)


async def test_a_blob_is_copied_from_the_other_account(
    part: Storage, folder: RunFolder, landing: ContainerClient
) -> None:
    """Azurite reads the source through the proxy, so it must trust the proxy's certificate."""
    async with ContainerClient.from_connection_string(
        part.connection_string(APP_ACCOUNT, http=False),
        LEDGER_CONTAINER,
        connection_verify=str(folder.ca_file),
    ) as other:
        source = await other.upload_blob("source", b"abc")
    sas = generate_blob_sas(
        APP_ACCOUNT,
        LEDGER_CONTAINER,
        "source",
        account_key=ACCOUNT_KEYS[APP_ACCOUNT],
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(minutes=5),
    )

    copy = landing.get_blob_client("copy")
    await copy.start_copy_from_url(f"{source.url}?{sas}")

    assert await (await copy.download_blob()).readall() == b"abc"


async def test_nothing_is_left_behind_at_the_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    async with storage.start(folder) as part:
        ports = [urlsplit(url).port for url in (part.blob, part.queue, part.blob_http)]

    with pytest.raises(ProcessLookupError):
        os.kill(part.pid, 0)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    assert folder.addresses() == {}


STARTER = """
import asyncio, pathlib, sys
from local import storage
from local.run_folder import RunFolder

async def main():
    async with storage.start(RunFolder(pathlib.Path(sys.argv[1]))) as part:
        print(part.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="waiting for the end of a process needs Linux"
)
async def test_azurite_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    azurite_process = os.pidfd_open(int(await parent.stdout.readline()))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(azurite_process, ended.set)

    parent.kill()
    await parent.wait()

    await asyncio.wait_for(ended.wait(), 10)
    asyncio.get_running_loop().remove_reader(azurite_process)
    os.close(azurite_process)


async def test_an_azurite_that_does_not_start_says_where_to_look(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.certificate_file.write_text("no certificate")

    with pytest.raises(RuntimeError, match=r"azurite\.log says why"):
        async with azurite.running(folder):
            pass
