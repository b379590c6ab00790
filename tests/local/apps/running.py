"""Hosts with the apps of this folder, their queues, and their requests to the storage."""

import contextlib
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec
from aiohttp import web
from azure.storage.queue.aio import QueueClient

from local import host as host_part
from local.faults import Fault
from local.host import Host
from local.host.runtime import PACE
from local.names import APP_ACCOUNT
from local.run_folder import RunFolder
from local.storage import Storage

SAMPLE = Path(__file__).parent / "sample"
TIMERS = Path(__file__).parent / "timers"


@contextlib.asynccontextmanager
async def new_queue(storage: Storage, name: str = "") -> AsyncIterator[QueueClient]:
    """A new queue in the app's account."""
    connection = storage.connection_string(APP_ACCOUNT)
    name = name or f"sample-{uuid.uuid4().hex}"
    async with QueueClient.from_connection_string(connection, name) as queue:
        await queue.create_queue()
        yield queue


def client(storage: Storage, name: str) -> QueueClient:
    """A client of a queue that may not exist."""
    return QueueClient.from_connection_string(storage.connection_string(APP_ACCOUNT), name)


def settings_for(queue: QueueClient, storage: Storage, **more: str) -> dict[str, str]:
    """The settings of the sample app, with the storage's key."""
    name = queue.queue_name
    connection = {"AzureWebJobsStorage": storage.connection_string(APP_ACCOUNT)}
    return connection | {"QUEUE": name, "POISON": f"{name}-unwatched"} | more


@contextlib.asynccontextmanager
async def running(
    app: Path, folder: Path, settings: Mapping[str, str] | None = None, *, pace: float = 1.0
) -> AsyncIterator[Host]:
    """A host with an app; hosts of the same folder share its timers."""
    pacing = {PACE: str(pace)}
    async with host_part.start(RunFolder(folder), app, pacing | dict(settings or {})) as host:
        yield host


class Recorder(Fault, kw_only=True):
    """A fault that never applies, but records the requests below its path."""

    requests: list[tuple[str, str]] = msgspec.field(default_factory=list)

    def matches(self, subject: web.Request) -> bool:
        """Record a request."""
        if subject.path_qs.startswith(self.path):
            self.requests.append((subject.method, subject.path_qs.removeprefix(self.path)))
        return False


@contextlib.contextmanager
def requests_to(storage: Storage, queue: str) -> Iterator[list[tuple[str, str]]]:
    """Methods and paths of the requests to a queue, and to those whose names begin with its name."""
    recorder = Recorder(kind="delay", path=f"/{APP_ACCOUNT}/{queue}")
    storage.queue_faults.pending.insert(0, recorder)
    try:
        yield recorder.requests
    finally:
        storage.queue_faults.pending.remove(recorder)


@contextlib.contextmanager
def expected(storage: Storage, method: str, path: str) -> Iterator[Fault]:
    """A fault without an effect, so that `until_met` can wait for a request to the queues."""
    fault = storage.queue_faults.add(Fault(kind="delay", method=method, path=path, times=-1))
    try:
        yield fault
    finally:
        storage.queue_faults.pending.remove(fault)
