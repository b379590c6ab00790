"""Uploads files and downloads results as a user would: over plain http, with the account's key."""

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from azure.storage.blob.aio import ContainerClient

from local.names import CONTAINER, LANDING_ACCOUNT
from local.run_folder import RunFolder


@contextlib.asynccontextmanager
async def landing_container(folder: RunFolder) -> AsyncIterator[ContainerClient]:
    """Open the landing container of the local Azure that runs in this folder.

    Raises:
        RuntimeError: no local Azure runs there.
    """
    storage = folder.addresses().get("storage")
    if storage is None:
        raise RuntimeError(f"no local Azure runs in {folder.path}: start one with `make up`")
    secret = storage["connection_strings"][LANDING_ACCOUNT]
    async with ContainerClient.from_connection_string(
        secret, CONTAINER, retry_total=0
    ) as container:
        try:
            yield container
        except ServiceRequestError:
            raise RuntimeError(
                f"the local Azure in {folder.path} does not answer: start one with `make up`"
            ) from None


async def drop(
    folder: RunFolder, files: Iterable[Path], to: str, metadata: dict[str, str]
) -> list[str]:
    """Upload files to a folder of the container; return their paths in it."""
    paths = []
    async with landing_container(folder) as container:
        for file in files:
            paths.append(f"{to.strip('/')}/{file.name}")
            with file.open("rb") as content:
                await container.upload_blob(paths[-1], content, overwrite=True, metadata=metadata)
    return paths


async def get(folder: RunFolder, path: str) -> bytes:
    """Return the content of a blob in the container.

    Raises:
        RuntimeError: there is none.
    """
    async with landing_container(folder) as container:
        try:
            return bytes(await (await container.download_blob(path)).readall())
        except ResourceNotFoundError:
            raise RuntimeError(f"there is no {path}") from None
