"""Downloads a job's input and uploads its output."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobServiceClient, ContainerClient, LinearRetry

from local.azureml.uris import BlobPath, ContainerRef, WebUrl
from local.credential import StaticCredential
from local.names import STORAGE_AUDIENCE
from local.run_folder import RunFolder
from local.tokens import issue

_PARALLEL_DOWNLOADS = 8
_LONGEST_FILE_NAME = 255  # bytes
_MARK = "batchjob"  # metadata: the job that wrote an output


class JobFailed(Exception):
    """The job failed; the message becomes the job's error."""


class Blobs:
    """Our storage, and the web."""

    def __init__(self, folder: RunFolder, base: str, clients: contextlib.AsyncExitStack) -> None:
        self._folder = folder
        self._base = base
        self._clients = clients
        self._accounts: dict[str, BlobServiceClient] = {}

    async def fetch(self, place: ContainerRef, kind: str, into: Path) -> list[Path]:
        """Download a file, or the files directly in a folder; return them in the order of their names.

        Raises JobFailed if there is no file.
        """
        if isinstance(place, WebUrl):
            return [await self._fetch_from_web(place.url, kind, into)]
        container = await self._container(place)
        names = [place.path] if kind == "UriFile" else await _names(container, place)
        files = {name: into / file_name(name) for name in names}
        await _download_all(container, files)
        return list(files.values())

    async def fetch_tree(self, place: BlobPath, into: Path) -> Path:
        """Download a file, or a folder with all its subfolders; return its local path.

        Raises JobFailed if there is neither.
        """
        container, path = await self._container(place), place.path.rstrip("/")
        target = into / file_name(path)
        if not place.path.endswith("/") and await _is_file(container, path):
            files = {path: target}
        else:
            names = await _names_below(container, path)
            files = {
                name: target.joinpath(*map(file_name, name[len(path) + 1 :].split("/")))
                for name in names
            }
        await _download_all(container, files)
        return target

    async def check_absent(self, place: BlobPath) -> None:
        """Raise JobFailed if the blob of an output already exists."""
        container = await self._container(place)
        if await container.get_blob_client(place.path).exists():
            raise _output_exists(place)

    async def create(self, place: BlobPath, file: Path, job: str) -> None:
        """Upload an output. Raises JobFailed if the blob exists and another writer created it."""
        blob = (await self._container(place)).get_blob_client(place.path)
        try:
            with file.open("rb") as data:
                await blob.upload_blob(data, overwrite=False, metadata={_MARK: job})
        except ResourceExistsError:
            # The client retries a request whose answer was lost, and may then find its own blob.
            if (await blob.get_blob_properties()).metadata.get(_MARK) != job:
                raise _output_exists(place) from None

    async def _container(self, place: BlobPath) -> ContainerClient:
        if place.account not in self._accounts:
            service = BlobServiceClient(
                f"{self._base}/{place.account}",
                credential=StaticCredential(issue(STORAGE_AUDIENCE, client="azureml")),
                connection_verify=str(self._folder.ca_file),
                retry_policy=LinearRetry(backoff=1, retry_total=3, random_jitter_range=0),
            )
            self._accounts[place.account] = await self._clients.enter_async_context(service)
        return self._accounts[place.account].get_container_client(place.container)

    async def _fetch_from_web(self, url: str, kind: str, into: Path) -> Path:
        if kind != "UriFile":
            raise JobFailed(f"{url}: the files of a folder can be listed in our own storage only")
        trusted = ssl.create_default_context()
        trusted.load_verify_locations(self._folder.ca_file)
        file = into / file_name(unquote(urlsplit(url).path))
        try:
            async with aiohttp.ClientSession() as session, session.get(url, ssl=trusted) as answer:
                answer.raise_for_status()
                with file.open("wb") as output:
                    async for chunk in answer.content.iter_any():
                        output.write(chunk)
        except aiohttp.ClientError as failure:
            raise JobFailed(f"{url}: {failure}") from None
        return file


@contextlib.asynccontextmanager
async def opened(folder: RunFolder) -> AsyncIterator[Blobs]:
    """Open the storage of a run folder.

    Raises JobFailed if no storage runs there, and for storage errors inside the block.
    """
    storage = folder.addresses().get("storage")
    if storage is None:
        raise JobFailed(f"no storage runs in {folder.path}: start `python -m local storage` there")
    try:
        async with contextlib.AsyncExitStack() as clients:
            yield Blobs(folder, storage["blob"], clients)
    except AzureError as failure:
        raise JobFailed(f"storage: {str(failure).partition(chr(10))[0]}") from failure


def file_name(blob: str) -> str:
    """Return the last segment of a blob's name, as the name of a local file.

    A name that a file system does not accept (too long, with a NUL, empty, a dot or two) is
    shortened, and a digest makes it unique.
    """
    name = blob.rpartition("/")[2]
    if (
        len(name.encode()) <= _LONGEST_FILE_NAME
        and "\0" not in name
        and name not in ("", ".", "..")
    ):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    stem, dot, suffix = name.replace("\0", "").rpartition(".")
    ending = f"-{digest}{dot}{suffix}" if len(suffix.encode()) < 20 and stem else f"-{digest}"
    room = _LONGEST_FILE_NAME - len(ending.encode())
    return name.replace("\0", "").encode()[:room].decode(errors="ignore") + ending


async def _names(container: ContainerClient, place: BlobPath) -> list[str]:
    folder = place.path.rstrip("/")
    prefix = f"{folder}/" if folder else ""
    try:
        found = [
            item.name
            async for item in container.walk_blobs(prefix, include=["metadata"], delimiter="/")
            if isinstance(item, BlobProperties) and not _is_folder(item, prefix)
        ]
    except ResourceNotFoundError:
        found = []
    if not found:
        raise JobFailed(f"there are no files in the folder {place.container}/{prefix}")
    return found


def _is_folder(item: BlobProperties, prefix: str) -> bool:
    metadata = item.metadata or {}
    return item.name == prefix or metadata.get("hdi_isfolder") == "true"


async def _is_file(container: ContainerClient, name: str) -> bool:
    try:
        found = await container.get_blob_client(name).get_blob_properties()
    except ResourceNotFoundError:
        return False
    return not _is_folder(found, "")


async def _names_below(container: ContainerClient, folder: str) -> list[str]:
    """Return the names of all files below a folder, at any depth."""
    prefix = f"{folder}/"
    try:
        found = [
            item.name
            async for item in container.list_blobs(prefix, include=["metadata"])
            if not _is_folder(item, prefix)
        ]
    except ResourceNotFoundError:
        found = []
    if not found:
        raise JobFailed(f"there are no files in {container.container_name}/{prefix}")
    return found


async def _download_all(container: ContainerClient, files: Mapping[str, Path]) -> None:
    limit = asyncio.Semaphore(_PARALLEL_DOWNLOADS)
    tries = (_download(container, name, file, limit) for name, file in files.items())
    for failure in await asyncio.gather(*tries, return_exceptions=True):
        if failure is not None:
            raise failure


async def _download(
    container: ContainerClient, name: str, file: Path, limit: asyncio.Semaphore
) -> None:
    async with limit:
        try:
            source = await container.download_blob(name)
        except ResourceNotFoundError:
            raise JobFailed(f"there is no file {container.container_name}/{name}") from None
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as output:
            await source.readinto(output)


def _output_exists(place: BlobPath) -> JobFailed:
    return JobFailed(f"the output file {place.container}/{place.path} exists already")
