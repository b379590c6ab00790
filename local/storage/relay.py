"""Relays requests to Azurite and its answers back, unchanged and as streams."""

from typing import Any

import aiohttp
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from local.storage.azurite import LONGEST_LINE

# Options of a server whose requests are relayed: no decompression, and room for long blob names.
AS_SENT: dict[str, Any] = {"auto_decompress": False, "max_line_size": LONGEST_LINE}
# Headers of one connection only. Host is passed on: Azurite copies between accounts of one host only.
_HOP_BY_HOP = (hdrs.CONNECTION, hdrs.KEEP_ALIVE, hdrs.TRANSFER_ENCODING)
_ONLY_IF_THE_CLIENT_SENT_THEM = (
    hdrs.ACCEPT,
    hdrs.ACCEPT_ENCODING,
    hdrs.CONTENT_TYPE,
    hdrs.USER_AGENT,
)


class Answer(web.StreamResponse):
    """Azurite's answer; its body is fetched while it is sent on, unless it is discarded."""

    def __init__(self, source: aiohttp.ClientResponse) -> None:
        super().__init__(
            status=source.status, reason=source.reason, headers=_end_to_end(source.headers)
        )
        self._source = source

    def discard(self) -> None:
        """Close the connection to Azurite without fetching the body."""
        self._source.close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send the status and the headers on."""
        try:
            return await super().prepare(request)
        except BaseException:
            self.discard()  # the client has disconnected
            raise

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body on."""
        async with self._source:
            async for chunk in self._source.content.iter_any():
                await self.write(chunk)
        await super().write_eof(data)


async def relay(request: web.Request, session: aiohttp.ClientSession, base: str) -> Answer:
    """Send a request on to the server at `base`, with its target unchanged.

    Raises web.HTTPBadGateway if the server cannot be reached, or the client disconnects early.
    """
    try:
        source = await session.request(
            request.method,
            URL(base + request.raw_path, encoded=True),
            headers=_end_to_end(request.headers),
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
            skip_auto_headers=_ONLY_IF_THE_CLIENT_SENT_THEM,
        )
    except aiohttp.ClientError as loss:
        raise web.HTTPBadGateway(text=f"not passed on: {loss}\n") from loss
    return Answer(source)


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    passed = CIMultiDict(headers)
    for name in _HOP_BY_HOP:
        passed.popall(name, None)
    return passed
