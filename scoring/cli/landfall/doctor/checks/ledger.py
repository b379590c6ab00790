"""Checks that the ledger can be listed, read, and written and deleted under conditions."""

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.ledger.blobs import delete, only_if, read
from scoring.cli.landfall.doctor.checks.facts import AT_ONCE, Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Doubtful,
    Finding,
    Remedies,
    Wrong,
    finding,
)
from scoring.cli.landfall.doctor.checks.probes import probe_name
from scoring.jobs.landing import normal_etag

_REMEDIES: Remedies = {
    "ContainerNotFound": "create the container, or correct LANDFALL_LEDGER_CONTAINER",
    403: "give the identity the role Storage Blob Data Owner on the app's own account, which the"
    f" Functions host needs there, too {ROLES_TAKE_TIME}",
    0: "is AzureWebJobsStorage__blobServiceUri right, and can this machine reach it?",
}
_MOST_SKEW = 60.0  # seconds


async def ledger(facts: Facts) -> AsyncIterator[Finding]:
    """Do with a probe blob what Landfall does with its entries."""
    settings = facts.all_settings()
    async with facts.blob_service(settings.storage) as service:
        container = service.get_container_client(settings.ledger_container)
        yield await finding("ledger", settings.ledger_container, _usable(container), _REMEDIES)
        yield await finding("clock", "this machine", _clock(container), _REMEDIES)


async def _usable(container: ContainerClient) -> str:
    listing = container.list_blobs(name_starts_with="open/", results_per_page=1, **AT_ONCE)
    await anext(aiter(listing), None)
    blob = container.get_blob_client(f"control/{probe_name()}")
    try:
        written = await blob.upload_blob(b"1", overwrite=False, metadata={"probe": "1"}, **AT_ONCE)
        await delete(blob, await _conditions(blob, normal_etag(written["etag"])))
        if await read(blob) is not None:
            raise Wrong("a blob was deleted under a condition that held, and is still there")
    finally:
        with contextlib.suppress(Exception):  # it is gone, or the failure is reported
            await blob.delete_blob(**AT_ONCE)
    return "can be listed, read, written and deleted, under conditions"


async def _conditions(blob: BlobClient, version: str) -> str:
    """Try the writes that must be refused, and change the blob; return its new version."""
    try:
        await blob.upload_blob(b"2", overwrite=False, **AT_ONCE)
    except (ResourceExistsError, ResourceModifiedError):
        pass
    else:
        raise Wrong("a condition did not protect an existing blob: is this Azure Blob Storage?")
    written = await blob.set_blob_metadata({"probe": "2"}, **only_if(version), **AT_ONCE)
    try:
        await blob.set_blob_metadata({"probe": "3"}, **only_if(version), **AT_ONCE)
    except ResourceModifiedError:
        pass
    else:
        raise Wrong(
            "a blob was changed, although its ETag had changed: is this Azure Blob Storage?"
        )
    found = await blob.get_blob_properties(**AT_ONCE)
    body = await read(blob)
    if found.metadata != {"probe": "2"} or body is None or body[0] != b"1":
        raise Wrong(f"metadata came back as {found.metadata}: is this Azure Blob Storage?")
    return normal_etag(str(written["etag"]))


async def _clock(container: ContainerClient) -> str:
    dates: list[datetime] = []
    await container.get_container_properties(
        raw_response_hook=lambda answer: dates.append(
            parsedate_to_datetime(answer.http_response.headers["Date"])
        ),
        **AT_ONCE,
    )
    skew = (datetime.now(UTC) - dates[0]).total_seconds()
    difference = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the storage's"
    if abs(skew) > _MOST_SKEW:
        raise Doubtful(f"its clock is {difference}: tokens may be refused; correct it")
    return "its clock agrees with the storage's"
