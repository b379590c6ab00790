"""What all parts of the ledger share: how its blobs are written, and what its errors mean."""

import contextlib
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.errors import Conflict, Missing, asking
from scoring.errors import SetupError
from scoring.jobs.landing import normal_etag
from scoring.timing import Aware

LEDGER = "the ledger"  # in errors
_LISTED_WITHIN = 150.0  # seconds for a whole listing


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What the storage says of a blob that it wrote."""

    version: str
    changed: Aware


async def put(
    blob: BlobClient,
    body: bytes,
    metadata: dict[str, str] | None = None,
    *,
    version: str | None = None,
) -> Written | None:
    """Create a blob, or replace this version of it; None: there is one, or another."""
    condition = {"overwrite": True, **only_if(version)} if version else {"overwrite": False}
    try:
        async with asking(LEDGER):
            return _written(await blob.upload_blob(body, metadata=metadata, **condition))
    except Conflict:
        return None
    except Missing as missing:
        raise no_container(missing) from None


async def change(blob: BlobClient, metadata: dict[str, str], version: str) -> Written | None:
    """Replace a blob's metadata if it still has this version; None: it has not, or is gone."""
    try:
        async with asking(LEDGER):
            return _written(await blob.set_blob_metadata(metadata, **only_if(version)))
    except (Conflict, Missing):
        return None


async def read(blob: BlobClient, **options: Any) -> tuple[bytes, BlobProperties] | None:
    """Return the body of a blob and its properties; None: there is none."""
    try:
        async with asking(LEDGER):
            download = await blob.download_blob(**options)
            return await download.readall(), download.properties
    except Missing:
        return None


async def read_at(blob: BlobClient) -> tuple[tuple[bytes, BlobProperties] | None, datetime]:
    """Return what `read` does, and the storage's time."""
    dates: list[str] = []

    def note(answer: Any) -> None:
        dates.append(answer.http_response.headers["Date"])

    found = None
    async with asking(LEDGER):
        with contextlib.suppress(Missing):
            found = await read(blob, raw_response_hook=note)
        return found, parsedate_to_datetime(dates[0])


async def properties(blob: BlobClient) -> BlobProperties | None:
    """Return the properties of a blob; None: there is none."""
    try:
        async with asking(LEDGER):
            return await blob.get_blob_properties()
    except Missing:
        return None


async def delete(blob: BlobClient, version: str) -> None:
    """Delete a blob if it still has this version; what was changed is left to who changed it."""
    with contextlib.suppress(Conflict, Missing):
        async with asking(LEDGER):
            await blob.delete_blob(**only_if(version))


async def listed(container: ContainerClient, prefix: str) -> tuple[datetime, list[BlobProperties]]:
    """Return the storage's time when a listing began, and what it showed."""
    dates: list[str] = []
    listing = container.list_blobs(
        name_starts_with=prefix,
        include=["metadata"],
        raw_response_hook=lambda page: dates.append(page.http_response.headers["Date"]),
    )
    try:
        async with asking(LEDGER, within=_LISTED_WITHIN):
            found = [blob async for blob in listing]
            return parsedate_to_datetime(dates[0]), found
    except Missing as missing:
        raise no_container(missing) from None


def _written(answer: dict[str, Any]) -> Written:
    fields = {"version": normal_etag(answer["etag"]), "changed": answer["last_modified"]}
    return msgspec.convert(fields, Written)


def no_container(missing: Missing) -> SetupError:
    """Return what it means that a blob could not be created or listed because of that."""
    return SetupError(f"its container is missing: {missing}")


def only_if(version: str) -> dict[str, Any]:
    """Return the condition that a blob still has this version."""
    # Headers carry ETags in quotes; the SDK adds none.
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}
