"""Uploads to the workspace's default datastore, to a path that is made from the content's digest.

An upload is registered only when it is complete, and a file that exists is not sent again. So an
upload that was interrupted continues when the command runs again.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.errors import Missing, translating_errors
from scoring.cli.azureml.deploy.contents import CHUNK, Content, File, content_of
from scoring.cli.azureml.deploy.references import long_uri
from scoring.cli.console import Bar
from scoring.cli.datastores import Datastore, default_datastore
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from scoring.errors import Denied
from scoring.uris import blob_url, datastore_uri

_FOLDER = "LocalUpload"  # the name that the Azure ML CLI uses
_FILES_AT_ONCE = 4
_BLOCKS_AT_ONCE = 8  # of all files together; this many are in memory
_MOST_BLOCKS = 50_000  # of a blob
_ROLE = "your identity needs the role Storage Blob Data Contributor there"


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """A file or folder on the default datastore."""

    datastore: str  # its name
    path: str  # on it
    uri: str  # azureml://subscriptions/…
    url: str  # https://…
    files: int
    size: int  # bytes
    sent_files: int = 0  # the others existed already
    sent_bytes: int = 0


async def upload(session: Session, path: Path) -> Uploaded:
    """Upload a file or folder to the workspace's default datastore.

    Raises:
        UsageError: it cannot be read, or changed while it was sent.
        Refused, Denied, Unavailable: the workspace or its storage refuses, or does not answer.
    """
    content = await asyncio.to_thread(content_of, path)
    return await send(session, content, await default_datastore(session.arm))


def destination(workspace_id: str, content: Content, store: Datastore) -> Uploaded:
    """Return where content is when it is uploaded."""
    path = f"{_FOLDER}/{content.digest}/{content.name}"
    return Uploaded(
        datastore=store.name,
        path=path,
        uri=long_uri(datastore_uri(store.name, path, "literal"), workspace_id),
        url=blob_url(store.place.account_url, store.place.container, path),
        files=len(content.files),
        size=content.size,
    )


async def send(session: Session, content: Content, store: Datastore) -> Uploaded:
    """Upload content to a datastore; files that exist there are not sent.

    Raises:
        UsageError: a file changed after it was read.
        Refused, Denied, Unavailable: the storage refuses, or does not answer.
    """
    target, place = destination(session.arm.workspace_id, content, store), store.place
    service = session.clients.landing_storage(place.account, place.account_url)
    container = service.get_container_client(place.container)
    where = f"{place.account}/{place.container}/{target.path}"
    try:
        with translating_errors(f"upload to {where}"):
            missing = await _missing(container, content, target.path)
            total = sum(file.size for file in missing)
            with session.console.bar(f"uploading {content.name}", total, bytes_=True) as bar:
                await _Sending(container, target.path, bar).all(missing)
    except Missing:
        raise Refused(f"{where}: the container does not exist") from None
    except Denied as refusal:
        raise Denied(f"{refusal}: {_ROLE}") from None
    return replace(target, sent_files=len(missing), sent_bytes=total)


async def _missing(container: ContainerClient, content: Content, path: str) -> list[File]:
    there = {blob.name: blob.size async for blob in container.list_blobs(name_starts_with=path)}
    return [file for file in content.files if there.get(_blob(path, file)) != file.size]


def _blob(path: str, file: File) -> str:
    return f"{path}/{file.path}" if file.path else path


class _Sending:
    """Sends files, several at the same time."""

    def __init__(self, container: ContainerClient, path: str, bar: Bar) -> None:
        self._container = container
        self._path = path
        self._bar = bar
        self._room = asyncio.Semaphore(_BLOCKS_AT_ONCE)

    async def all(self, files: list[File]) -> None:
        left = iter(files)

        async def work() -> None:
            for file in left:
                await self._one(file)

        async with _together() as sending:
            for _ in range(_FILES_AT_ONCE):
                sending.create_task(work())

    async def _one(self, file: File) -> None:
        blob = self._container.get_blob_client(_blob(self._path, file))
        with _reading(file):
            stream = file.source.open("rb")
        with stream:
            if file.size <= CHUNK:
                await self._whole(blob, file, stream)
            else:
                await self._blocks(blob, file, stream)

    async def _whole(self, blob: BlobClient, file: File, stream: BinaryIO) -> None:
        async with self._room:
            content = await _read(file, stream, file.size + 1)
            _check(file, hashlib.sha256(content).hexdigest())
            await blob.upload_blob(content, overwrite=True)
        self._bar.advance(file.size)

    async def _blocks(self, blob: BlobClient, file: File, stream: BinaryIO) -> None:
        """Send a file block by block; the blob appears when the blocks are committed.

        They are committed only if the file has not changed, so a blob's content always has the
        digest in its path.
        """
        digest, blocks = hashlib.sha256(), list[BlobBlock]()
        size = max(CHUNK, file.size // _MOST_BLOCKS + 1)
        async with _together() as sending:
            await self._room.acquire()
            while block := await _read(file, stream, size):
                digest.update(block)
                # The id has the content's digest, so that two uploads at once cannot mix blocks.
                blocks.append(
                    BlobBlock(f"{len(blocks):08}-{hashlib.sha256(block).hexdigest()}"[:40])
                )
                sending.create_task(self._block(blob, blocks[-1].id, block))
                await self._room.acquire()
            self._room.release()
        _check(file, digest.hexdigest())
        await blob.commit_block_list(blocks)

    async def _block(self, blob: BlobClient, name: str, block: bytes) -> None:
        try:
            await blob.stage_block(name, block, length=len(block))
        finally:
            self._room.release()
        self._bar.advance(len(block))


async def _read(file: File, stream: BinaryIO, size: int) -> bytes:
    with _reading(file):
        return await asyncio.to_thread(stream.read, size)


@contextlib.contextmanager
def _reading(file: File) -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise UsageError(f"{file.source}: {failure.strerror}") from None


def _check(file: File, sha256: str) -> None:
    if sha256 != file.sha256:
        raise UsageError(f"{file.source} changed while it was uploaded: try again")


@contextlib.asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks; the first failure cancels the others, and is raised without a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
