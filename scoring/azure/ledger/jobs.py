"""The ledger as blobs in a container of the app's own storage account.

    open/<key>       body: the job, written once; metadata: its progress
    done/<key>       the completion event, written once
    control/<name>   the marks of poll and of each sweep, the workspace's last answers

Every write is conditional. A conflict is read back before it is believed, because the client
repeats a write whose answer was lost and then conflicts with itself; the nonce in the progress
tells whose write stands.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar

import msgspec
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobClient, ContainerClient

from scoring.azure.errors import translating_errors
from scoring.azure.ledger.blobs import Written, change, delete, listed, properties, put, read
from scoring.errors import Unavailable
from scoring.jobs.job import Job
from scoring.jobs.landing import normal_etag
from scoring.jobs.marks import PollMark, SweepMark
from scoring.jobs.progress import OpenJob, OpenJobs, Progress

_OPEN, _DONE, _CONTROL = "open/", "done/", "control/"
_POLL_MARK = "poll"
_SWEEP_MARK = "sweep-"
_CLAIMS = 3  # tries to claim an entry that disappears whenever we look at it

Mark = TypeVar("Mark", PollMark, SweepMark)


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
            stands = await self._stands(job.key)
            if stands is not None:
                return stands
        raise Unavailable(f"the ledger: entry {job.key} came and went {_CLAIMS} times")

    async def save(self, opened: OpenJob, progress: Progress) -> OpenJob | None:
        """Replace the metadata of open/."""
        written = await change(self._open(opened.key), progress.metadata(), opened.version)
        if written is not None:
            return _as_written(opened.key, progress, written)
        return await self._stands(opened.key)

    async def job(self, key: str) -> Job | None:
        """Read the body of open/."""
        found = await read(self._open(key))
        return None if found is None else msgspec.json.decode(found[0], type=Job)

    async def open_jobs(self) -> OpenJobs:
        """List open/."""
        now, entries = await listed(self._container, _OPEN)
        jobs: list[OpenJob] = []
        unreadable: list[str] = []
        for found in entries:
            try:
                jobs.append(_listed(found))
            except msgspec.ValidationError:
                unreadable.append(found.name.removeprefix(_OPEN))
        return OpenJobs(now=now, jobs=jobs, unreadable=unreadable)

    async def forget(self, opened: OpenJob) -> None:
        """Delete open/; whoever changed it finds done/."""
        await delete(self._open(opened.key), opened.version)

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

    async def poll_mark(self) -> PollMark:
        """Read control/poll."""
        return await self._mark(_POLL_MARK, PollMark())

    async def leave_poll_mark(self, mark: PollMark) -> None:
        """Write control/poll."""
        await self._leave_mark(_POLL_MARK, mark)

    async def sweep_mark(self, route: str) -> SweepMark:
        """Read control/sweep-<route>."""
        return await self._mark(_SWEEP_MARK + route, SweepMark())

    async def leave_sweep_mark(self, route: str, mark: SweepMark) -> None:
        """Write control/sweep-<route>."""
        await self._leave_mark(_SWEEP_MARK + route, mark)

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Read control/; return the body and its version, None each if there is none."""
        found = await read(self._container.get_blob_client(_CONTROL + name))
        return (found[0], normal_etag(found[1].etag)) if found else (None, None)

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Write control/ unless somebody did since `version` was read; return what stands."""
        written = await put(self._container.get_blob_client(_CONTROL + name), body, version=version)
        return written.version if written else (await self.recall(name))[1]

    async def _mark(self, name: str, none_yet: Mark) -> Mark:
        body, version = await self.recall(name)
        mark = msgspec.json.decode(body, type=type(none_yet)) if body else none_yet
        return msgspec.structs.replace(mark, version=version)

    async def _leave_mark(self, name: str, mark: PollMark | SweepMark) -> None:
        body = msgspec.json.encode(msgspec.structs.replace(mark, version=None))
        await self.remember(name, body, mark.version)

    def _open(self, key: str) -> BlobClient:
        return self._container.get_blob_client(_OPEN + key)

    async def _stands(self, key: str) -> OpenJob | None:
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
