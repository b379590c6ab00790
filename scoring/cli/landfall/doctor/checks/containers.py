"""Checks that the identity may list, read and write where files land and outputs go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from scoring.cli.landfall.doctor.checks.facts import AT_ONCE, Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Finding,
    NotChecked,
    Remedies,
    Wrong,
    finding,
    findings,
)
from scoring.cli.landfall.doctor.checks.probes import probe_name
from scoring.routes.patterns import literal_beginning

_READ: Remedies = {
    "ContainerNotFound": "create the container, or correct the datastore",
    403: f"give the identity the role Storage Blob Data Reader there {ROLES_TAKE_TIME}",
    0: "is the name of the account right? Can this machine reach it (firewall, private endpoint)?"
    " LandingStorage_<account>__blobServiceUri gives it another address",
}
_WRITE: Remedies = {
    **_READ,
    403: f"give the identity the role Storage Blob Data Contributor there {ROLES_TAKE_TIME}",
}
Look = Callable[[ContainerClient, str], Coroutine[None, None, str]]


async def landing_paths(facts: Facts) -> AsyncIterator[Finding]:
    """List and read the paths that each route watches."""
    paths = dict.fromkeys(
        (route.datastore, literal_beginning(glob))
        for route in facts.routes
        for glob in (route.match, route.trigger)
    )
    looks = {
        f"{datastore}: {prefix}": _in_container(facts, datastore, prefix, _readable)
        for datastore, prefix in paths
    }
    for one in await findings("landing path", looks, _READ):
        yield one


async def output_paths(facts: Facts) -> AsyncIterator[Finding]:
    """Write a blob where each route's outputs go, and delete it; only with `--write`.

    Others may have subscribed to the events of such a blob.
    """
    paths = dict.fromkeys(
        (route.datastore, literal_beginning(route.output)) for route in facts.routes if route.output
    )
    if paths and not facts.write:
        yield await finding("output path", "all", _not_requested())
        return
    looks = {
        f"{datastore}: {prefix}": _in_container(facts, datastore, prefix, _writable)
        for datastore, prefix in paths
    }
    for one in await findings("output path", looks, _WRITE):
        yield one


async def _not_requested() -> str:
    raise NotChecked(
        "whether batch jobs can write their outputs, and Landfall its receipts; --write tries it"
        " with a blob that is deleted at once"
    )


async def _in_container(facts: Facts, datastore: str, prefix: str, look: Look) -> str:
    place = facts.place(datastore)
    async with facts.landing_storage(place) as service:
        return await look(service.get_container_client(place.container), prefix)


async def _readable(container: ContainerClient, prefix: str) -> str:
    listing = container.list_blobs(
        name_starts_with=prefix, results_per_page=1, include=["metadata"], **AT_ONCE
    )
    first = await anext(aiter(listing), None)
    if first is None:
        await _absent(container, f"{prefix}{probe_name()}")
        return "can be listed and read; it is empty so far"
    await _read(container, first)
    return "can be listed and read"


async def _absent(container: ContainerClient, path: str) -> None:
    """Look at a blob that does not exist: without the right to read, the answer is 403, not 404."""
    with contextlib.suppress(ResourceNotFoundError):
        await container.get_blob_client(path).get_blob_properties(**AT_ONCE)


async def _read(container: ContainerClient, found: BlobProperties) -> None:
    """Read the properties of a blob and, unless it is archived, its first byte."""
    blob = container.get_blob_client(found.name)
    with contextlib.suppress(ResourceNotFoundError):  # deleted since it was listed
        await blob.get_blob_properties(**AT_ONCE)
        if found.size and found.blob_tier != "Archive":
            await (await blob.download_blob(offset=0, length=1, **AT_ONCE)).readall()


async def _writable(container: ContainerClient, prefix: str) -> str:
    # No route matches it: no output path begins like an input path (`rules.without_loops`).
    path = f"{prefix}{probe_name()}"
    blob = container.get_blob_client(path)
    try:
        await blob.upload_blob(b"", overwrite=False, **AT_ONCE)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):  # it may have been written
            await blob.delete_blob(**AT_ONCE)
        raise
    try:
        await blob.delete_blob(**AT_ONCE)
    except ResourceNotFoundError:
        pass
    except Exception as failure:  # noqa: BLE001 - whatever failed, the blob is left
        raise Wrong(f"{path} was written and cannot be deleted; delete it: {failure}") from None
    return "can be written"
