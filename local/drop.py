"""Dropping files as people do: over plain http, with the storage account's key."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.names import CONTAINER, LANDING_ACCOUNT
from local.run_folder import RunFolder


@contextlib.asynccontextmanager
async def landing_container(folder: RunFolder) -> AsyncIterator[ContainerClient]:
    """Open the container where files land, of the local Azure that runs in this folder.

    Raises:
        RuntimeError: none does.
    """
    storage = folder.addresses().get("storage")
    if storage is None:
        raise RuntimeError(f"no local Azure runs in {folder.path}: start one with `make up`")
    secret = storage["connection_strings"][LANDING_ACCOUNT]
    async with BlobServiceClient.from_connection_string(secret) as service:
        yield service.get_container_client(CONTAINER)


async def drop(folder: RunFolder, files: Iterable[Path], to: str) -> list[str]:
    """Upload files to a folder of the container; return the paths that they have there."""
    paths = []
    async with landing_container(folder) as container:
        for file in files:
            paths.append(f"{to.strip('/')}/{file.name}")
            with file.open("rb") as content:
                await container.upload_blob(paths[-1], content, overwrite=True)
    return paths
