"""Jobs, as blobs in a container of the app's own storage account.

    open/<key>       body: the job, written once; metadata: its progress
    done/<key>       the completion event, written once

Every write is conditional. A conflict is read back before it is believed, because the client
repeats a write whose answer was lost and then conflicts with itself; the nonce in the progress
tells whose write current.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.errors import translating_errors
from scoring.azure.ledger.blobs import Written, change, delete, properties, put, read
from scoring.azure.ledger.parts import listed_in_parts
from scoring.errors import Unavailable
from scoring.jobs.job import Job
from scoring.jobs.landing import normal_etag
from scoring.jobs.progress import OpenJob, OpenJobs, Progress

_OPEN, _DONE = "open/", "done/"
_CLAIMS = 3  # tries to claim an entry that disappears whenever we look at it


class BlobLedger:
    """A `ports.Ledger` on Azure Blob Storage."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def claim(self, job: Job, progress: Progress) -> OpenJob:
        """Create open/."""
        blob = self._open(job.key)
        body, metadata = msgspec.json.encode(job), progress.metadata()
        for _ in range(_CLAIMS):
            written = await put(blob, body, metadata)
            if written is not None:
                return _as_written(job.key, progress, written)
            current = await self._current(job.key)
            if current is not None:
                return current
        raise Unavailable(f"the ledger: entry {job.key} came and went {_CLAIMS} times")

    async def save(self, entry: OpenJob, progress: Progress) -> OpenJob | None:
        """Replace the metadata of open/."""
        written = await change(self._open(entry.key), progress.metadata(), entry.version)
        if written is not None:
            return _as_written(entry.key, progress, written)
        return await self._current(entry.key)

    async def job(self, key: str) -> Job | None:
        """Read the body of open/."""
        found = await read(self._open(key))
        return None if found is None else msgspec.json.decode(found[0], type=Job)

    async def entry(self, key: str) -> OpenJob | None:
        """Read the properties of open/."""
        return await self._current(key)

    async def open_jobs(self, *, start: str = "", within: timedelta | None = None) -> OpenJobs:
        """List open/."""
        listing = await listed_in_parts(self._container, _OPEN, start=start, within=within)
        jobs: list[OpenJob] = []
        unreadable: list[str] = []
        for found in listing.blobs:
            try:
                jobs.append(_listed(found))
            except msgspec.ValidationError:
                unreadable.append(found.name.removeprefix(_OPEN))
        return OpenJobs(
            now=listing.now,
            jobs=jobs,
            unreadable=unreadable,
            missing_from=listing.missing_from,
            whole=listing.whole,
        )

    async def forget(self, entry: OpenJob) -> None:
        """Delete open/ if it is unchanged; a host that changed it finds done/."""
        await delete(self._open(entry.key), entry.version)

    async def end(self, key: str) -> bytes | None:
        """Read done/."""
        found = await read(self._container.get_blob_client(_DONE + key))
        return None if found is None else found[0]

    async def conclude(self, key: str, event: bytes) -> bytes:
        """Create done/; the first creator wins."""
        if await put(self._container.get_blob_client(_DONE + key), event) is not None:
            return event
        return await self.end(key) or event

    async def ended(self) -> AsyncIterator[tuple[str, datetime]]:
        """Yield the keys of the jobs that have ended, and when; in no order that means anything."""
        with translating_errors("the ledger"):
            async for found in self._container.list_blobs(name_starts_with=_DONE):
                yield found.name.removeprefix(_DONE), found.last_modified

    def _open(self, key: str) -> BlobClient:
        return self._container.get_blob_client(_OPEN + key)

    async def _current(self, key: str) -> OpenJob | None:
        found = await properties(self._open(key))
        return _listed(found) if found else None


def _as_written(key: str, progress: Progress, written: Written) -> OpenJob:
    return OpenJob(key=key, progress=progress, version=written.version, changed=written.changed)


def _listed(found: BlobProperties) -> OpenJob:
    return OpenJob(
        key=found.name.removeprefix(_OPEN),
        progress=Progress.from_metadata(found.metadata or {}),
        version=normal_etag(found.etag),
        changed=found.last_modified,
    )
