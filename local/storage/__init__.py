"""Azurite behind two small proxies, one for blobs and one for queues, each on https and http.

The product uses TLS and a token, which Azurite checks; people may use plain http and a connection
string. The blob proxy counts operations and puts an event into the app's queue for each blob that
lands. Faults can be injected into both proxies.
"""

import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from local.faults import Faults, Handler
from local.names import (
    ACCOUNT_KEYS,
    APP_ACCOUNT,
    CONTAINER,
    LANDING_ACCOUNT,
    LANDINGS_QUEUE,
    LEDGER_CONTAINER,
)
from local.run_folder import RunFolder
from local.serving import serve
from local.storage import azurite
from local.storage.azurite import Azurite
from local.storage.blobs import Blobs
from local.storage.events import Events
from local.storage.operations import Operations
from local.storage.relay import AS_SENT, relay


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The running storage service; an account's URL is one of the bases and the account's name."""

    blob: str  # the https base
    queue: str
    blob_http: str
    queue_http: str
    pid: int  # Azurite's
    blob_faults: Faults
    queue_faults: Faults
    operations: Operations
    events: Events

    def connection_string(self, account: str, *, http: bool = True) -> str:
        """Return the connection string of an account, with its key, for tools and people."""
        blob, queue = (self.blob_http, self.queue_http) if http else (self.blob, self.queue)
        parts = {
            "DefaultEndpointsProtocol": "http" if http else "https",
            "AccountName": account,
            "AccountKey": ACCOUNT_KEYS[account],
            "BlobEndpoint": f"{blob}/{account}",
            "QueueEndpoint": f"{queue}/{account}",
        }
        return "".join(f"{name}={value};" for name, value in parts.items())

    def addresses(self) -> dict[str, Any]:
        """Return its addresses, for the other parts and for people."""
        return {
            "blob": self.blob,
            "queue": self.queue,
            "blob_http": self.blob_http,
            "queue_http": self.queue_http,
            "pid": self.pid,
            "connection_strings": {name: self.connection_string(name) for name in ACCOUNT_KEYS},
        }


class _Installable(Protocol):
    def install(self, app: web.Application) -> None: ...


@contextlib.asynccontextmanager
async def start(folder: RunFolder) -> AsyncIterator[Storage]:
    """Run the storage service, with the containers and the queue of the product."""
    with folder.alone("storage"):
        async with azurite.running(folder) as emulator:
            await _prepare(emulator)
            async with _served(folder, emulator) as storage:
                with folder.announced("storage", **storage.addresses()):
                    yield storage


@contextlib.asynccontextmanager
async def _served(folder: RunFolder, emulator: Azurite) -> AsyncIterator[Storage]:
    operations, events = Operations(), Events(_landings(emulator))
    blob_faults, queue_faults = Faults(), Faults()
    blobs = Blobs(emulator, operations, events)
    async with (
        _listening(folder, blobs.answer, blob_faults, operations, events) as (blob, blob_http),
        _listening(folder, _queues(emulator), queue_faults) as (queue, queue_http),
    ):
        blobs.port = blob.rpartition(":")[2]
        yield Storage(
            blob=blob,
            queue=queue,
            blob_http=blob_http,
            queue_http=queue_http,
            pid=emulator.pid,
            blob_faults=blob_faults,
            queue_faults=queue_faults,
            operations=operations,
            events=events,
        )


async def _prepare(emulator: Azurite) -> None:
    await emulator.create_container(LANDING_ACCOUNT, CONTAINER)
    await emulator.create_container(APP_ACCOUNT, LEDGER_CONTAINER)
    await emulator.create_queue(APP_ACCOUNT, LANDINGS_QUEUE)


def _landings(emulator: Azurite) -> Callable[[str], Awaitable[None]]:
    return functools.partial(emulator.put_message, APP_ACCOUNT, LANDINGS_QUEUE)


def _queues(emulator: Azurite) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await relay(request, emulator.session, emulator.queue)

    return answer


@contextlib.asynccontextmanager
async def _listening(
    folder: RunFolder, handler: Handler, *parts: _Installable
) -> AsyncIterator[tuple[str, str]]:
    """Serve a handler on https and http, after the middleware and paths of `parts`; yield both bases."""
    async with (
        serve(_app(handler, *parts), tls=folder.server_tls(), **AS_SENT) as https,
        serve(_app(handler, *parts), **AS_SENT) as http,
    ):
        yield https, http


def _app(handler: Handler, *parts: _Installable) -> web.Application:
    app = web.Application(client_max_size=0)  # no limit: a fault may read a large body
    for part in parts:
        part.install(app)
    app.router.add_route("*", "/{target:.*}", handler)
    return app
