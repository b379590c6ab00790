"""The storage where files land: properties and listings, never contents; receipts are left there."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

import msgspec
from azure.storage.blob import BlobProperties, ContentSettings
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from scoring.azure.errors import Conflict, Missing, asking
from scoring.errors import Denied, Refused, SetupError
from scoring.jobs.blobs import Blob, Forbidden, Page
from scoring.jobs.job import ContainerRef
from scoring.jobs.landing import normal_etag
from scoring.uris import has_dot_segment

PAGE = 5_000  # blobs of a listing

_JSON = ContentSettings(content_type="application/json")


class AzureLandingStorage:
    """Blobs of any of the workspace's storage accounts; a `ports.LandingStorage`."""

    def __init__(self, connect: Callable[[ContainerRef], BlobServiceClient]) -> None:
        self._connect = connect
        self._clients: dict[str, BlobServiceClient] = {}

    async def blob(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        """Return a blob's properties."""
        if has_dot_segment(path):
            return None  # the client would resolve it, and ask for another blob
        client = self._container(place).get_blob_client(path)
        try:
            async with asking(f"blob {place.account}/{place.container}/{path}"):
                return _blob(await client.get_blob_properties())
        except Missing:
            return None
        except Denied:
            return Forbidden()

    async def folder(self, place: ContainerRef, path: str) -> list[Blob] | Forbidden:
        """List the blobs directly in a folder."""
        container = self._container(place)
        try:
            async with asking(f"folder {place.account}/{place.container}/{path}"):
                listing = container.walk_blobs(f"{path}/", include=["metadata", "copy"])
                return [
                    _blob(found)
                    async for found in listing
                    if isinstance(found, BlobProperties) and not _is_directory(found)
                ]
        except Missing:
            return []
        except Denied:
            return Forbidden()

    async def page(self, place: ContainerRef, prefix: str, start: str) -> Page:
        """List a part of the blobs whose paths begin with a prefix."""
        dates: list[str] = []
        listing = self._container(place).list_blobs(
            name_starts_with=prefix,
            include=["metadata"],
            results_per_page=PAGE,
            raw_response_hook=lambda answer: dates.append(answer.http_response.headers["Date"]),
        )
        try:
            async with asking(f"container {place.account}/{place.container}"):
                pages = listing.by_page(continuation_token=start or None)
                found = [_blob(one) async for one in await anext(pages) if not _is_directory(one)]
                now = parsedate_to_datetime(dates[0])
        except Missing:
            raise SetupError(f"there is no container {place.container}") from None
        return Page(
            now=now, blobs=found, next=str(getattr(pages, "continuation_token", None) or "")
        )

    async def newest(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        """List all that lies below a folder."""
        container = self._container(place)
        newest: Blob | None = None
        try:
            async with asking(f"below {place.account}/{place.container}/{path}"):
                async for found in container.list_blobs(f"{path}/", include=["metadata"]):
                    younger = newest is None or found.last_modified > newest.modified
                    if younger and not _is_directory(found):
                        newest = _blob(found)
        except Missing:
            return None
        except Denied:
            return Forbidden()
        return newest

    async def leave(self, place: ContainerRef, path: str, content: bytes) -> None:
        """Create a blob of JSON unless there is one."""
        blob = self._container(place).get_blob_client(path)
        try:
            async with asking(f"blob {place.account}/{place.container}/{path}"):
                await blob.upload_blob(content, overwrite=False, content_settings=_JSON)
        except Conflict:
            return
        except Missing:
            raise SetupError(f"there is no container {place.container}") from None
        except Refused as refusal:
            raise SetupError(f"{refusal}: nothing can be written there") from None
        except Denied as refusal:
            role = "give the app's identity the role Storage Blob Data Contributor there"
            raise Denied(f"{refusal}: {role}") from None

    async def close(self) -> None:
        """Close the clients' connections."""
        for client in self._clients.values():
            await client.close()

    def _container(self, place: ContainerRef) -> ContainerClient:
        if place.account_url not in self._clients:
            self._clients[place.account_url] = self._connect(place)
        return self._clients[place.account_url].get_container_client(place.container)


def _blob(found: BlobProperties) -> Blob:
    """Raise msgspec.ValidationError if the storage left out what a blob always has."""
    fields = {
        "path": found.name,
        "etag": normal_etag(found.etag),
        "size": found.size,
        "modified": found.last_modified,
        "block": found.blob_type == "BlockBlob",
        "archived": found.blob_tier == "Archive",
        "copying": found.copy.status == "pending",
        # Listings show an empty value as None.
        "metadata": {_text(k): _text(v or "") for k, v in (found.metadata or {}).items()},
    }
    return msgspec.convert(fields, Blob)


def _text(header: str) -> str:
    """Return what can be written: a header may hold bytes that are no text."""
    return header.encode("utf-8", "replace").decode()


def _is_directory(found: BlobProperties) -> bool:
    return _blob(found).is_directory
