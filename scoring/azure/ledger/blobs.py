"""What all parts of the ledger share: how its blobs are written, and what its errors mean."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.errors import translating_errors
from scoring.errors import SetupError


@contextlib.contextmanager
def ledger_errors() -> Iterator[None]:
    """Tell what goes wrong with the ledger in Landfall's own words."""
    try:
        with translating_errors("the ledger"):
            yield
    except ResourceNotFoundError as missing:
        # Where a blob may be missing its caller has caught this already.
        raise SetupError(f"the ledger: its container is missing: {missing.reason}") from None


def only_if(version: str) -> dict[str, Any]:
    """Return the condition that a blob still has this version."""
    # Headers carry ETags in quotes; the SDK adds none.
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


async def read(blob: BlobClient) -> bytes | None:
    """Return the body of a blob; None: there is none."""
    with ledger_errors():
        try:
            return await (await blob.download_blob()).readall()
        except ResourceNotFoundError:
            return None


async def properties(blob: BlobClient) -> BlobProperties | None:
    """Return the properties of a blob; None: there is none."""
    with ledger_errors():
        try:
            return await blob.get_blob_properties()
        except ResourceNotFoundError:
            return None


async def delete(blob: BlobClient, version: str) -> None:
    """Delete a blob if it still has this version; what was changed is left to who changed it."""
    with ledger_errors(), contextlib.suppress(ResourceModifiedError, ResourceNotFoundError):
        await blob.delete_blob(**only_if(version))


async def listed(container: ContainerClient, prefix: str) -> tuple[datetime, list[BlobProperties]]:
    """Return the storage's time when a listing began, and what it showed."""
    dates: list[str] = []
    listing = container.list_blobs(
        name_starts_with=prefix,
        include=["metadata"],
        raw_response_hook=lambda page: dates.append(page.http_response.headers["Date"]),
    )
    with ledger_errors():
        found = [blob async for blob in listing]
    return parsedate_to_datetime(dates[0]), found
