"""What the ledger keeps of folders, as blobs in its container.

    filling/<key>    body: the folder, written once; metadata: from when `at_most` counts
    turns/<key>      metadata: the attempt that was submitted last

A touch needs no nonce: it does not matter which host changed the mark.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.ledger.blobs import change, delete, listed, properties, put, read
from scoring.errors import Unavailable
from scoring.jobs.folders import Cooldown, Filling, FolderMark
from scoring.jobs.job import Folder
from scoring.jobs.landing import normal_etag

_FILLING, _TURNS = "filling/", "turns/"
_TRIES = 5  # to write a mark that is written or deleted by others whenever we look at it


class BlobFolders:
    """A `ports.Folders` on Azure Blob Storage."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def touch(self, folder: Folder, known: FolderMark | None) -> FolderMark:
        """Create filling/, or change its metadata."""
        first_seen: FolderMark | None = None
        for _ in range(_TRIES):
            stands = await self._touch(folder, known)
            if stands is not None:
                return stands
            known = await self._stands(folder.key)
            if known and first_seen and known.version != first_seen.version:
                return known  # somebody else has just done it
            first_seen = first_seen or known
        raise Unavailable(f"the ledger: mark {folder.key} came and went {_TRIES} times")

    async def filling(self) -> Filling:
        """List filling/."""
        now, entries = await listed(self._container, _FILLING)
        return Filling(now=now, marks=[_listed(found) for found in entries])

    async def folder(self, key: str) -> Folder | None:
        """Read the body of filling/."""
        found = await read(self._blob(key))
        return None if found is None else msgspec.json.decode(found[0], type=Folder)

    async def count_anew(self, mark: FolderMark, since: datetime) -> None:
        """Change the metadata of filling/."""
        stands: FolderMark | None = mark
        for _ in range(_TRIES):
            if stands is None or await self._change(stands, since):
                return
            stands = await self._stands(mark.key)

    async def drop_mark(self, mark: FolderMark) -> None:
        """Delete filling/, unless a later landing touched it."""
        await delete(self._blob(mark.key), mark.version)

    async def cooldown(self, key: str) -> Cooldown | None:
        """Read the properties of turns/."""
        found = await properties(self._container.get_blob_client(_TURNS + key))
        if found is None:
            return None
        return Cooldown(
            tag=found.metadata["tag"],
            taken=found.last_modified,
            version=normal_etag(found.etag),
        )

    async def start_cooldown(self, key: str, tag: str, last: Cooldown | None) -> bool:
        """Create turns/, or change its metadata."""
        blob = self._container.get_blob_client(_TURNS + key)
        metadata = {"tag": tag}
        if last is None:
            written = await put(blob, b"", metadata)
        else:
            written = await change(blob, metadata, last.version)
        if written is not None:
            return True
        stands = await self.cooldown(key)  # the client may have conflicted with itself
        return stands is not None and stands.tag == tag

    async def _touch(self, folder: Folder, known: FolderMark | None) -> FolderMark | None:
        if known is None:
            return await self._create(folder)
        # A host that skips touches relies on the longest `quiet` of all hosts' routes.
        quiet = max(known.quiet, folder.ready.quiet)
        at_most = max(known.at_most, folder.ready.at_most)
        return await self._change(msgspec.structs.replace(known, quiet=quiet, at_most=at_most))

    async def _create(self, folder: Folder) -> FolderMark | None:
        ready = folder.ready
        metadata = _metadata(ready.quiet, ready.at_most)
        written = await put(self._blob(folder.key), msgspec.json.encode(folder), metadata)
        return _mark(folder.key, metadata, written.version, written.changed) if written else None

    async def _change(self, mark: FolderMark, since: datetime | None = None) -> FolderMark | None:
        metadata = _metadata(mark.quiet, mark.at_most, since or mark.since)
        written = await change(self._blob(mark.key), metadata, mark.version)
        return _mark(mark.key, metadata, written.version, written.changed) if written else None

    async def _stands(self, key: str) -> FolderMark | None:
        found = await properties(self._blob(key))
        return _listed(found) if found else None

    def _blob(self, key: str) -> BlobClient:
        return self._container.get_blob_client(_FILLING + key)


def _metadata(
    quiet: timedelta, at_most: timedelta, since: datetime | None = None
) -> dict[str, str]:
    times = {"quiet": str(quiet.total_seconds()), "at_most": str(at_most.total_seconds())}
    return times | ({"since": since.isoformat()} if since else {})


def _listed(found: BlobProperties) -> FolderMark:
    key = found.name.removeprefix(_FILLING)
    return _mark(key, found.metadata or {}, found.etag, found.last_modified)


def _mark(key: str, metadata: dict[str, str], etag: Any, changed: Any) -> FolderMark:
    # What was never changed has no `since`.
    times = {"since": changed.isoformat(), **metadata}
    return msgspec.convert(
        {"key": key, "version": normal_etag(etag), "changed": changed, **times},
        FolderMark,
        strict=False,
    )
