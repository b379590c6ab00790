"""The one way in for answers of Azure ML, Resource Manager and Event Grid.

An answer may be anybody's: endless, slow, packed, of another shape. It is read within a time and a
size, and understood as far as it is needed. What cannot be used raises `Unavailable`; only a
refusal stays the refusal that its status says, whatever its body.
"""

import asyncio
import codecs
import contextlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import msgspec

from scoring.errors import Unavailable

_LARGEST = 16 * 1024 * 1024  # bytes of an answer, unpacked
MOST_PARTS = 2_000  # of a listing

_MOST_OF_REFUSAL = 64 * 1024  # bytes of it that are read
_REFUSAL_WITHIN = 5.0  # seconds for the body of a refusal, whose status is known already
_LONGEST_WAIT = 86_400.0  # seconds that an answer may ask to wait
_PACKED = frozenset({"gzip", "x-gzip", "deflate"})
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_OF_THE_WIRE = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})

T = TypeVar("T")


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a listing."""

    value: list[Any]
    next_link: str | None = None


async def whole(answer: httpx.Response, *, within: asyncio.Timeout) -> httpx.Response:
    """Read an answer whose head has come.

    Raises:
        Unavailable: it is a success that is too large, or packed in a way that is not known.
        httpx.HTTPError, TimeoutError: it is a success that does not come.
    """
    if answer.is_success:
        body = b"".join([piece async for piece in _pieces(answer, _LARGEST)])
    else:
        within.reschedule(None)
        body = await _beginning(answer)
    headers = [one for one in answer.headers.raw if one[0].lower() not in _OF_THE_WIRE]
    return httpx.Response(answer.status_code, headers=headers, content=body, request=answer.request)


async def _beginning(answer: httpx.Response) -> bytes:
    """Return as much of a refusal's body as comes."""
    pieces: list[bytes] = []
    with contextlib.suppress(Exception):  # whatever it is, the status stands
        async with asyncio.timeout(_REFUSAL_WITHIN):
            async for piece in _pieces(answer, _MOST_OF_REFUSAL):
                pieces.append(piece)  # noqa: PERF401 - kept when the next one does not come
    return b"".join(pieces)


async def _pieces(answer: httpx.Response, most: int) -> AsyncIterator[bytes]:
    """Yield the body unpacked, `most` bytes of it; raise if that is not all."""
    unpack = _unpacking(answer.headers.get("Content-Encoding", ""))
    assert isinstance(answer.stream, httpx.AsyncByteStream)  # noqa: S101 - of an AsyncClient
    left = most
    async for packed in answer.stream:
        piece = unpack(packed, left + 1)
        yield piece[:left]
        left -= len(piece)
        if left < 0:
            raise Unavailable(f"{answer.url}: the answer has more than {most} bytes")


def _unpacking(encoding: str) -> Any:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return lambda packed, _: packed
    if encoding not in _PACKED:
        raise Unavailable(f"the answer is packed in a way that was not asked for: {encoding[:40]}")
    decompressor = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)

    def unpack(packed: bytes, most: int) -> bytes:
        try:
            return decompressor.decompress(packed, most)
        except zlib.error as mistake:
            raise Unavailable(f"the answer is not {encoding}: {mistake}") from None

    return unpack


async def parts(
    get: Callable[[str], Awaitable[httpx.Response]], url: str, what: str
) -> AsyncIterator[list[Any]]:
    """Yield a listing part by part.

    Raises:
        Unavailable: it does not come to an end, or is none.
    """
    seen: set[str] = set()
    page: str | None = url
    while page:
        if page in seen or len(seen) == MOST_PARTS:
            raise Unavailable(f"{what}: the listing does not come to an end")
        seen.add(page)
        part = as_kind(json_in(await get(page)), _Part, what)
        yield part.value
        page = part.next_link


def json_in(answer: httpx.Response) -> Any:
    """Return the document of an answer; None if it is no JSON."""
    return document_in(answer.content)


def document_in(body: bytes | str) -> Any:
    """Return a JSON document; None if it is none, or none that can be read."""
    try:
        if isinstance(body, bytes):
            body = body.removeprefix(codecs.BOM_UTF8)
        return msgspec.json.decode(body)
    except _UNREADABLE:
        return None


def as_kind(document: Any, kind: type[T], what: str) -> T:
    """Return a document as what it must be.

    Raises:
        Unavailable: it is something else.
    """
    try:
        return msgspec.convert(document, kind)
    except _UNREADABLE as mistake:
        raise Unavailable(f"{what}: the answer cannot be understood: {mistake}") from None


def retry_after(answer: httpx.Response) -> float:
    """Return the seconds to wait, 0 if nothing is said; a time counts from the answer's own Date.

    A day is the longest wait.
    """
    asked = answer.headers.get("Retry-After", "")
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _seconds_until(asked, answer.headers.get("Date", ""))
    return min(max(0.0, seconds), _LONGEST_WAIT)  # beside "nan", `max` takes 0


def _seconds_until(then: str, now: str) -> float:
    try:
        return (parsedate_to_datetime(then) - parsedate_to_datetime(now)).total_seconds()
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return 0.0
