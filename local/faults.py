"""Fault injection, over an admin path of each part.

`POST /_faults` with a JSON object adds a fault, `GET /_faults` lists those that are left,
`DELETE /_faults` removes all. See `Fault` for the fields.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec
from aiohttp import web

from local.changes import Changes
from local.rules import Rule, first_applying

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PATH = "/_faults"
ADMIN = "/_admin/"  # the parts' other admin paths; no fault applies to them


@runtime_checkable
class Discardable(Protocol):
    """An answer that holds a connection until it is sent or discarded."""

    def discard(self) -> None:
        """Close the connection."""


class Fault(Rule[web.Request], kw_only=True):
    """Something that goes wrong with the next requests that match."""

    kind: Literal[
        "refuse",  # answer `status` without doing the work
        "delay",  # wait `seconds`, then do the work
        "error-after",  # do the work, then answer `status`
        "drop-before",  # close the connection without doing the work
        "drop-after",  # do the work, then close the connection without an answer
        "half-after",  # do the work, then close the connection in the middle of the answer
        "hang-before",  # do not do the work, and do not answer until all faults are removed
        "hang-after",  # do the work, then do not answer until all faults are removed
    ]
    method: str = "*"
    path: str = ""  # a regular expression that is searched for in the path with its query
    status: int = 503
    headers: dict[str, str] = msgspec.field(default_factory=dict)  # e.g. {"Retry-After": "3"}
    body: str = ""
    seconds: float = 0.0
    met: int = 0  # how many requests it was applied to so far

    def matches(self, subject: web.Request) -> bool:
        """Return whether a request has the method and the path."""
        right_method = self.method in ("*", subject.method)
        return right_method and bool(re.search(self.path, subject.path_qs))


class Faults:
    """The faults of one part, applied by a middleware before anything else in its app."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []
        self._changes = Changes()
        self._forgotten = asyncio.Event()

    def install(self, app: web.Application) -> None:
        """Add the middleware and the admin path to an app."""
        app.middlewares.append(self._middleware)
        app.router.add_post(PATH, self._add)
        app.router.add_get(PATH, self._list)
        app.router.add_delete(PATH, self._clear)

    def add(self, fault: Fault) -> Fault:
        """Add a fault for the next requests that match."""
        self.pending.append(fault)
        return fault

    def forget(self) -> None:
        """Remove all faults; requests that hang lose their connection."""
        self.pending.clear()
        self._forgotten.set()
        self._forgotten = asyncio.Event()

    async def until_met(self, fault: Fault, times: int = 1, *, seconds: float = 60.0) -> None:
        """Wait until a fault was applied to `times` requests.

        With one of the -after kinds, the work of these requests is done by then.

        Raises:
            TimeoutError: it was not, within `seconds`.
        """
        await self._changes.until(lambda: fault.met >= times, seconds=seconds)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == PATH or request.path.startswith(ADMIN):
            return await handler(request)
        fault = first_applying(self.pending, request)
        return await (handler(request) if fault is None else self._meet(fault, request, handler))

    async def _meet(self, fault: Fault, request: web.Request, handler: Handler) -> Any:
        forgotten = self._forgotten
        if fault.kind.endswith("-after"):
            answer = await handler(request)
            if isinstance(answer, Discardable):
                answer.discard()
        fault.met += 1
        self._changes.happened()
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
            return await handler(request)
        if fault.kind in ("refuse", "error-after"):
            await request.read()
            return web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        if fault.kind.startswith("hang"):
            await forgotten.wait()
        return await _cut(request, half=fault.kind == "half-after")

    async def _add(self, request: web.Request) -> web.Response:
        try:
            fault = self.add(msgspec.json.decode(await request.read(), type=Fault))
        except msgspec.MsgspecError as mistake:
            return web.Response(status=400, text=f"not a fault: {mistake}\n")
        added = msgspec.json.encode(fault)
        return web.Response(status=201, body=added, content_type="application/json")

    async def _list(self, _: web.Request) -> web.Response:
        left = [fault for fault in self.pending if fault.times]
        return web.Response(body=msgspec.json.encode(left), content_type="application/json")

    async def _clear(self, _: web.Request) -> web.Response:
        self.forget()
        return web.Response(status=204)


async def _cut(request: web.Request, *, half: bool) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"} if half else None)
    if half:
        await response.prepare(request)
        await response.write(b'{"id": "')
    if request.transport is not None:
        request.transport.abort()
    return response
