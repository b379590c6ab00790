"""The one way in for foreign answers: bounded in time and size, of a known shape or an error."""

import asyncio
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from local.run_folder import RunFolder
from scoring.azure import answers as module
from scoring.azure.answers import as_kind, document_in, json_in, parts, retry_after
from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.reasons import what_it_says
from scoring.errors import SetupError, Unavailable
from tests.azure.access import access
from tests.azure.wire import Serve, always, dripping, server

BOMB = gzip.compress(b" " * 100_000_000, mtime=0)  # a thousandfold
DEEP = b'{"a":' * 5_000


def raw(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def asked(
    serve: Serve, folder: RunFolder
) -> AsyncIterator[Callable[[], Awaitable[httpx.Response]]]:
    async with server(serve, folder.server_tls()) as url, new_client() as client:
        http = AuthorizedHttp(client, access())
        yield lambda: http.send("GET", f"{url}/x", within=0.5)


async def ask(serve: Serve, folder: RunFolder) -> httpx.Response:
    async with asked(serve, folder) as get, asyncio.timeout(10):
        return await get()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFUSAL_WITHIN", 0.3)


def _with(content: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    return reader


# --- bounded ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b'{"a": 1}', mtime=0), "gzip"),
        (gzip.compress(b'{"a": 1}', mtime=0), "X-GZIP"),
        (zlib.compress(b'{"a": 1}'), "deflate"),
        (b'{"a": 1}', "identity"),
        (b'\xef\xbb\xbf{"a": 1}', "identity"),
    ],
)
async def test_an_answer_may_be_packed(body: bytes, encoding: str, folder: RunFolder) -> None:
    answer = await ask(always(raw(200, body, f"Content-Encoding: {encoding}\r\n")), folder)
    assert json_in(answer) == {"a": 1}


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\n     \r\n" * 500

UNUSABLE = {
    "a bomb": raw(200, BOMB, "Content-Encoding: gzip\r\n"),
    "a bomb by another name": raw(200, BOMB, "Content-Encoding: deflate\r\n"),
    "no gzip": raw(200, b"{}", "Content-Encoding: gzip\r\n"),
    "packed twice": raw(200, gzip.compress(BOMB, mtime=0), "Content-Encoding: gzip, gzip\r\n"),
    "br": raw(200, b"{}", "Content-Encoding: br\r\n"),
    "zstd": raw(200, b"{}", "Content-Encoding: zstd\r\n"),
    "too large": raw(200, b" " * 2_000),
    "without end": CHUNKED,
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_success_that_is_too_much_or_packed_otherwise_is_unavailable(
    name: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 1_000)
    with pytest.raises(Unavailable):
        await ask(always(UNUSABLE[name]), folder)


@pytest.mark.parametrize("length", ["", "Content-Length: 999\r\n"])
async def test_a_success_that_drips_is_given_up_after_its_whole_time(
    length: str, folder: RunFolder
) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await ask(dripping(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode()), folder)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("status", [302, 400, 404, 429, 503])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Encoding: gzip\r\n", BOMB),
        ("Content-Encoding: gzip\r\n", b"no gzip"),
        ("Content-Encoding: br\r\n", b"packed"),
        ("", b" " * 200_000),
        ("", b"\xff\xfe\x00\x80"),
        ("", DEEP),
        ("Content-Type: text/plain; charset=zlib\r\n", zlib.compress(b" " * 1_000_000)),
        ("Content-Type: text/plain; charset=nothing\r\n", b"why"),
    ],
    ids=["a bomb", "no gzip", "br", "long", "no text", "deep", "a packed charset", "no charset"],
)
async def test_a_refusal_stays_what_its_status_says_whatever_its_body(
    status: int, headers: str, body: bytes, folder: RunFolder
) -> None:
    answer = await ask(always(raw(status, body, headers)), folder)
    assert answer.status_code == status
    assert len(what_it_says(answer)) <= 500


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 400 X\r\n\r\n", b"HTTP/1.1 400 X\r\nContent-Length: 9\r\n\r\n"]
)
async def test_a_refusal_whose_body_drips_or_breaks_off_is_one(
    head: bytes, folder: RunFolder
) -> None:
    assert (await ask(dripping(head), folder)).status_code == 400

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.4)  # so that the time is over before the body is
        await dripping(head)(_with(b"GET / HTTP/1.1\r\n\r\n"), writer)

    assert (await ask(late, folder)).status_code == 400

    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 X\r\nContent-Length: 99\r\n\r\nmissing field")
        await writer.drain()

    answer = await ask(breaks_off, folder)
    assert (answer.status_code, what_it_says(answer)) == (400, "missing field")


async def test_headers_may_hold_anything_and_come_more_than_once(folder: RunFolder) -> None:
    odd = raw(429, b"why").replace(
        b"\r\n\r\n", b"\r\nX: \xe9\xff\r\nX: 2\r\nRetry-After: 7\r\n\r\n"
    )
    answer = await ask(always(odd), folder)
    assert (answer.status_code, retry_after(answer)) == (429, 7.0)
    assert len(answer.headers.get_list("X")) == 2


async def test_what_grows_a_thousandfold_is_not_unpacked(folder: RunFolder) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Unavailable):
            await ask(always(UNUSABLE["a bomb"]), folder)
        assert tracemalloc.get_traced_memory()[1] < 3 * module._LARGEST < 100_000_000
    finally:
        tracemalloc.stop()


async def test_what_cannot_be_sent_is_a_set_up(folder: RunFolder) -> None:
    async with new_client() as client:
        http = AuthorizedHttp(client, access())
        with pytest.raises(SetupError, match="cannot be sent"):
            await http.send("POST", "https://localhost:1/x", headers={"a": "\u20ac"})


# --- of a shape -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        DEEP,
        b"[" * 5_000,
        b"\xff",
        b'"\xed\xa0\x80"',
        b"NaN",
        b'{"a": 1}x',
        b"{'a'}",
    ],
)
def test_what_is_no_json_is_none(body: bytes) -> None:
    assert document_in(body) is None


def test_a_document_of_another_kind_says_so() -> None:
    class Kind(msgspec.Struct):
        name: str

    assert as_kind({"name": "a", "more": 1}, Kind, "it").name == "a"
    others: list[Any] = [None, [], {"name": 5}, {}, "name"]
    for other in others:
        with pytest.raises(Unavailable, match="it: the answer cannot be understood"):
            as_kind(other, Kind, "it")


async def listed(pages: dict[str, object]) -> list[Any]:
    async def get(url: str) -> httpx.Response:
        return httpx.Response(200, content=json.dumps(pages[url]).encode())

    return [one async for part in parts(get, "first", "it") for one in part]


async def test_a_listing_is_read_part_by_part() -> None:
    pages: dict[str, object] = {
        "first": {"value": [1], "nextLink": "second", "count": 9},
        "second": {"value": [2, None], "nextLink": ""},
    }
    assert await listed(pages) == [1, 2, None]
    assert await listed({"first": {"value": [], "nextLink": None}}) == []


@pytest.mark.parametrize(
    "pages",
    [
        {"first": {"value": [1], "nextLink": "first"}},
        {"first": {"value": [], "nextLink": "b"}, "b": {"value": [], "nextLink": "first"}},
        {str(n) if n else "first": {"value": [], "nextLink": str(n + 1)} for n in range(3_000)},
    ],
    ids=["itself", "in a circle", "without end"],
)
async def test_a_listing_that_does_not_end_is_ended(pages: dict[str, object]) -> None:
    with pytest.raises(Unavailable, match="does not come to an end"):
        await listed(pages)


@pytest.mark.parametrize(
    "page", [{"value": [], "nextLink": 5}, {"value": {}}, {"value": None}, {}, [], None, "x", 5]
)
async def test_a_part_of_another_shape_is_none(page: object) -> None:
    with pytest.raises(Unavailable, match="cannot be understood"):
        await listed({"first": page})


DATE = "Tue, 24 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        # A day is the longest.
        ("99999999999999999999", 86_400.0),
        ("9" * 5_000, 86_400.0),
        ("1e300", 86_400.0),
        ("Tue, 24 Nov 9999 12:00:00 GMT", 86_400.0),
        # Nothing is said.
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("nan", 0.0),
        ("-inf", 0.0),
        ("Tue, 24 Nov 99999999999999999999 12:00:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 99:99:99 GMT", 0.0),
        ("Tue, 24 Nov 2026", 0.0),
        ("Tue, 24 Nov 2026 12:00:00 -0000", 0.0),
        (", , , ,", 0.0),
        ("Tue, 24 Nov 2026 12:00:00 +99999999999999999999", 0.0),
    ],
)
def test_how_long_to_wait_is_a_number_of_seconds_whatever_is_said(
    asked: str, seconds: float
) -> None:
    answer = httpx.Response(429, headers={"Retry-After": asked, "Date": DATE})
    assert retry_after(answer) == seconds


@pytest.mark.parametrize("date", [None, "", "soon", "Tue, 24 Nov 2026 12:00:00"])
def test_a_time_needs_the_time_of_the_answer(date: str | None) -> None:
    headers = {"Retry-After": DATE} | ({"Date": date} if date is not None else {})
    assert retry_after(httpx.Response(429, headers=headers)) == 0.0
