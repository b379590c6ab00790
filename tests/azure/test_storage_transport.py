"""What a storage that is slow, endless or somebody else's can do to the storage clients."""

import asyncio
import gc
import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import pytest
from azure.storage.blob.aio import BlobServiceClient

from local.run_folder import RunFolder
from scoring.azure import storage_transport as module
from scoring.azure.access import Access
from scoring.azure.errors import asking
from scoring.azure.identity import Identity
from scoring.azure.landing_storage import AzureLandingStorage
from scoring.azure.ledger.blobs import read
from scoring.azure.storage_transport import BoundedRetry, StorageTransport
from scoring.errors import Denied, LandfallError, SetupError, Unavailable
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef
from tests.azure.access import access
from tests.azure.wire import Serve, always, dripping, read_request, server

DATE = "Date: Wed, 25 Nov 2026 12:00:00 GMT\r\n"
PROPERTIES = (
    b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "0x1"\r\nx-ms-blob-type: BlockBlob\r\n'
    b"Last-Modified: Wed, 25 Nov 2026 12:00:00 GMT\r\n" + DATE.encode() + b"\r\n"
)
EMPTY = b"""<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ContainerName="c"><Blobs/><NextMarker/></EnumerationResults>"""


def listing(body: bytes, headers: str = "", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\n{DATE}{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def refusal(status: str, code: str, body: bytes = b"", headers: str = "") -> bytes:
    return listing(body, f"x-ms-error-code: {code}\r\n{headers}", status)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WITHIN", 0.5)
    monkeypatch.setattr(module, "_ALL_TRIES_WITHIN", 1.0)
    monkeypatch.setattr(module, "_REFUSAL_WITHIN", 0.2)


@asynccontextmanager
async def storage(
    serve: Serve, folder: RunFolder, *, given: Access | None = None, **options: Any
) -> AsyncIterator[tuple[AzureLandingStorage, ContainerRef]]:
    """A landing storage as the product makes it, of a server that does what the test says."""

    def connect(place: ContainerRef) -> BlobServiceClient:
        return BlobServiceClient(
            place.account_url,
            transport=StorageTransport(given or access()),
            permit_redirects=False,
            **(options or {"retry_policy": BoundedRetry()}),
        )

    async with server(serve, folder.server_tls()) as url:
        landing = AzureLandingStorage(connect)
        try:
            yield landing, ContainerRef(account="a", account_url=url, container="c")
        finally:
            await landing.close()


async def looks(landing: AzureLandingStorage, place: ContainerRef) -> list[object]:
    """Return what each look ends in."""
    ended = await asyncio.gather(
        landing.blob(place, "a.csv"),
        landing.folder(place, "in"),
        landing.page(place, "in/", ""),
        landing.newest(place, "out"),
        landing.leave(place, "r.json", b"{}"),
        return_exceptions=True,
    )
    return list(ended)


async def says_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await asyncio.get_running_loop().create_future()


# --- in time ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "serve",
    [
        says_nothing,
        dripping(b"HTTP/1.1 200 OK\r\nX-Drip: "),
        dripping(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 999\r\n\r\n"
        ),
        always(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 86400\r\n\r\n"),
    ],
    ids=["no answer", "a head that drips", "a body that drips", "busy for ever"],
)
async def test_an_account_that_does_not_answer_is_given_up(serve: Serve, folder: RunFolder) -> None:
    """All looks and writes; a body has none of its own bytes to wait for after HEAD and PUT."""
    async with storage(serve, folder) as (landing, place), asyncio.timeout(10):
        ended = await looks(landing, place)
    assert {type(one) for one in ended if one is not None} == {Unavailable}
    assert not any(isinstance(one, Blob | Forbidden) for one in ended)


@pytest.mark.parametrize(
    "head", [b"X-Drip: ", b"Content-Type: application/xml\r\nContent-Length: 999\r\n\r\n"]
)
async def test_each_try_has_a_time_as_a_whole(head: bytes, folder: RunFolder) -> None:
    began = time.monotonic()
    async with storage(dripping(b"HTTP/1.1 200 OK\r\n" + head), folder, retry_total=0) as given:
        landing, place = given
        with pytest.raises(Unavailable, match="no whole answer within"):
            await landing.folder(place, "in")
    assert time.monotonic() - began < 5


async def test_a_listing_that_leads_in_circles_comes_to_an_end(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts come quickly, and each names another."""
    page = EMPTY.replace(b"<NextMarker/>", b"<NextMarker>again</NextMarker>")
    monkeypatch.setattr("scoring.azure.landing_storage.asking", partial(asking, within=0.5))
    async with storage(always(listing(page)), folder) as (landing, place):
        for look in (landing.folder(place, "in"), landing.newest(place, "out")):
            with pytest.raises(Unavailable, match="no whole answer"):
                await look


@pytest.mark.filterwarnings("ignore:Unclosed connection:ResourceWarning")
async def test_a_body_that_is_read_as_a_stream_has_its_time_too(folder: RunFolder) -> None:
    """The ledger's entries are."""
    head = b'HTTP/1.1 206 Part\r\nContent-Length: 999\r\nETag: "1"\r\n'
    serve = dripping(head + b"Content-Range: bytes 0-998/999\r\n\r\n")
    async with server(serve, folder.server_tls()) as url:
        service = BlobServiceClient(url, transport=StorageTransport(access()))
        with pytest.raises(Unavailable, match="no whole answer"):
            async with asking("the ledger", within=0.5):
                await read(service.get_blob_client("c", "open/k"))
        await service.close()
    gc.collect()  # the client library leaves the connection of a stream that was given up


async def test_a_request_with_a_large_body_is_given_time_for_it(folder: RunFolder) -> None:
    """The commands upload files."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(1.2)
        writer.write(
            b'HTTP/1.1 201 Created\r\nContent-Length: 0\r\nETag: "1"\r\n'
            b"Last-Modified: Wed, 25 Nov 2026 12:00:00 GMT\r\n\r\n"
        )
        await writer.drain()

    async with storage(slow, folder) as (landing, place):
        with pytest.raises(Unavailable):
            await landing.leave(place, "r.json", b"{}")
        await landing.leave(place, "r.json", b" " * 100_000)


# --- what the storage can make of the token -----------------------------------------------------


def seen_tokens(requests: list[str]) -> list[str]:
    return [
        line.split()[-1]
        for head in requests
        for line in head.splitlines()
        if line.lower().startswith("authorization:")
    ]


def noting(requests: list[str], *answers: bytes) -> Serve:
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await read_request(reader)
            requests.append(head)
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()

    return serve


@pytest.mark.parametrize(
    "expired",
    [
        refusal("401 Unauthorized", "InvalidAuthenticationInfo"),
        refusal("403 Forbidden", "AuthenticationFailed"),
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_token_that_storage_calls_expired_is_replaced_once(
    expired: bytes, folder: RunFolder
) -> None:
    """The clock of a host may be slow, which then takes dead tokens for good ones."""
    requests: list[str] = []
    serve = noting(requests, expired, PROPERTIES)
    async with storage(serve, folder, given=access("stale", "fresh")) as (landing, place):
        assert isinstance(await landing.blob(place, "a.csv"), Blob)
    assert seen_tokens(requests) == ["stale", "fresh"]


async def test_where_every_token_is_refused_two_are_sent(folder: RunFolder) -> None:
    requests: list[str] = []
    serve = noting(requests, refusal("401 Unauthorized", "InvalidAuthenticationInfo"))
    async with storage(serve, folder, given=access("one", "two", "three")) as (landing, place):
        with pytest.raises(SetupError, match="401: InvalidAuthenticationInfo"):
            await landing.blob(place, "a.csv")
    assert seen_tokens(requests) == ["one", "two"]


async def test_a_challenge_that_names_another_audience_is_not_given_its_token(
    folder: RunFolder,
) -> None:
    """Else a storage host could ask for a token for Azure Resource Manager, and get it."""
    asked: list[str] = []

    class Asked(Identity):
        async def token(self, scope: str, *, refused: str | None = None) -> str:
            asked.append(scope)
            return f"for-{scope}"

    challenge = (
        'WWW-Authenticate: Bearer authorization_uri="https://login.microsoftonline.com/evil/oauth2'
        '/authorize" resource_id=https://management.azure.com\r\n'
    )
    requests: list[str] = []
    serve = noting(
        requests, refusal("401 Unauthorized", "InvalidAuthenticationInfo", b"", challenge)
    )
    own = Access(Asked(lambda: pytest.fail("nobody else is asked")), "storage", lambda _: None)
    async with storage(serve, folder, given=own) as (landing, place):
        await looks(landing, place)
    assert set(asked) == {"storage"}
    assert set(seen_tokens(requests)) == {"for-storage"}


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("where", ["elsewhere", "here"])
async def test_a_redirect_is_not_followed(status: str, where: str, folder: RunFolder) -> None:
    elsewhere: list[str] = []
    requests: list[str] = []
    async with server(noting(elsewhere, PROPERTIES), folder.server_tls()) as other:
        base = other if where == "elsewhere" else ""
        moved = listing(b"", f"Location: {base}/c/b.csv\r\n", status)
        async with storage(noting(requests, moved), folder) as (landing, place):
            with pytest.raises(LandfallError):
                await landing.blob(place, "a.csv")
    assert len(requests) == 1
    assert elsewhere == []


async def test_a_request_that_would_leave_its_host_carries_no_token(folder: RunFolder) -> None:
    """Whatever it is in the client library that leads there."""
    requests: list[str] = []
    async with storage(noting(requests, PROPERTIES), folder, given=access(hosts=["a.example"])) as (
        landing,
        place,
    ):
        with pytest.raises(SetupError, match="may not be sent a token"):
            await landing.blob(place, "a.csv")
    assert requests == []


# --- of another shape ---------------------------------------------------------------------------


BOMB = gzip.compress(b" " * 100_000_000)
PACKED = "Content-Encoding: gzip\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        listing(b"<not xml"),
        listing(b"\xff\xfe\x00"),
        listing(b"[]").replace(b"application/xml", b"application/json"),
        listing(b"{" * 2_000).replace(b"application/xml", b"application/json"),
        listing(b"hello").replace(b"application/xml", b"text/plain"),
        listing(b"<a>" * 20_000 + b"</a>" * 20_000),
        listing(b"<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>"),
        listing(
            b"<EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Content-Length>many"
            b"</Content-Length></Properties></Blob></Blobs></EnumerationResults>"
        ),
        listing(EMPTY, PACKED),
        listing(BOMB, PACKED),
        listing(BOMB, "Content-Encoding: deflate\r\n"),
        listing(EMPTY).replace(b"Content-Length: ", b"Content-Length: 9"),
        listing(EMPTY).replace(b"Content-Length: ", b"Content-Length: x"),
        listing(EMPTY, "X: " + "y" * 100_000 + "\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"no http at all\r\n\r\n",
    ],
    ids=[
        "no xml", "no text", "json", "deep json", "plain text", "deep xml", "a blob without a name",
        "a size that is none", "packed", "a bomb", "another bomb", "half a body", "no length",
        "a huge header", "very many headers", "garbage",
    ],
)  # fmt: skip
async def test_a_listing_of_another_shape_is_unavailable(raw: bytes, folder: RunFolder) -> None:
    async with storage(always(raw), folder, retry_total=0) as (landing, place):
        ended = [
            await asyncio.gather(look, return_exceptions=True)
            for look in (landing.folder(place, "in"), landing.newest(place, "out"))
        ]
    assert {type(one) for (one,) in ended} <= {Unavailable}, ended


async def test_a_listing_without_a_date_is_unavailable(folder: RunFolder) -> None:
    raw = listing(EMPTY).replace(DATE.encode(), b"Date: soon\r\n")
    async with storage(always(raw), folder, retry_total=0) as (landing, place):
        with pytest.raises(Unavailable):
            await landing.page(place, "in/", "")


async def test_an_answer_larger_than_any_listing_is_unavailable(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 1_000)
    chunks = b"400\r\n" + b" " * 1_024 + b"\r\n"
    head = f"HTTP/1.1 200 OK\r\n{DATE}Transfer-Encoding: chunked\r\n\r\n".encode()
    async with storage(always(head + chunks * 50), folder, retry_total=0) as (landing, place):
        with pytest.raises(Unavailable, match="more than 1000 bytes"):
            await landing.folder(place, "in")


@pytest.mark.parametrize(
    "field", [b'ETag: "0x1"\r\n', b"Last-Modified: Wed, 25 Nov 2026 12:00:00 GMT\r\n"]
)
async def test_properties_without_what_a_blob_always_has_are_unavailable(
    field: bytes, folder: RunFolder
) -> None:
    raw = PROPERTIES.replace(field, b"")
    async with storage(always(raw), folder, retry_total=0) as (landing, place):
        with pytest.raises(Unavailable):
            await landing.blob(place, "a.csv")


async def test_metadata_that_are_no_text_can_be_written_all_the_same(folder: RunFolder) -> None:
    raw = PROPERTIES.replace(b"ETag", b"x-ms-meta-landfall_ward: \xe9\xff\r\nETag")
    async with storage(always(raw), folder, retry_total=0) as (landing, place):
        seen = await landing.blob(place, "a.csv")
    assert isinstance(seen, Blob)
    assert seen.metadata == {"landfall_ward": "??"}
    assert msgspec.json.encode(seen)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<not xml",
        BOMB,
        b"[" * 5_000,
        b"<Error><Code>BlobNotFound</Code><Message>There is none.</Message></Error>",
    ],
    ids=["none", "no xml", "a bomb", "deep", "whole"],
)
@pytest.mark.parametrize(
    "headers",
    ["", PACKED, "Content-Type: application/json\r\n", "Content-Type: text/html\r\n"],
)
async def test_a_refusal_says_what_its_status_and_code_say_whatever_its_body(
    body: bytes, headers: str, folder: RunFolder
) -> None:
    missing = refusal("404 Not Found", "BlobNotFound", body, headers)
    denied = refusal("403 Forbidden", "AuthorizationPermissionMismatch", body, headers)
    async with storage(always(missing), folder, retry_total=0) as (landing, place):
        assert await landing.folder(place, "in") == []
    async with storage(always(denied), folder, retry_total=0) as (landing, place):
        assert await landing.folder(place, "in") == Forbidden()
        with pytest.raises(Denied):
            await landing.leave(place, "r.json", b"{}")


async def test_a_refusal_whose_body_drips_is_one(folder: RunFolder) -> None:
    head = refusal("404 Not Found", "BlobNotFound").replace(b"Length: 0", b"Length: 999")
    async with storage(dripping(head), folder, retry_total=0) as (landing, place):
        assert await landing.folder(place, "in") == []

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.4)  # so that the time is over before the body is
        writer.write(head)
        await writer.drain()
        await asyncio.get_running_loop().create_future()

    async with storage(late, folder, retry_total=0) as (landing, place):
        assert await landing.folder(place, "in") == []
    async with server(dripping(head), folder.server_tls()) as url:
        service = BlobServiceClient(url, transport=StorageTransport(access()))
        assert await read(service.get_blob_client("c", "open/k")) is None
        await service.close()
