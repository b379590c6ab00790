"""The models of `tests/fakes.py` under the run's clock: they count, and remember what checks need."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from scoring.errors import Refused, SetupError
from scoring.jobs.batch_job import BatchEndpoint, BatchJob
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef, Job, attempt_tag
from scoring.jobs.progress import OpenJob, OpenJobs, Progress, State
from tests.fakes import PLACE, START, Clock, FakeLedger, FakeStorage
from tests.simulation.faults import Faults
from tests.simulation.loop import VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.azureml import SimEndpoints

_EDGES = {
    (State.SUBMITTING, State.SUBMITTED): "b",
    (State.PENDING, State.SUBMITTING): "e",
    (State.SUBMITTING, State.UNKNOWN): "f",
    (State.UNKNOWN, State.SUBMITTED): "g",
    (State.UNKNOWN, State.PENDING): "h",
}


class SimClock(Clock):
    """The clock of the storage services: whole seconds of the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=int(self._loop.time()))


class SimLedger(FakeLedger):
    """Counts the edges of docs/design.md, and remembers claims and ends."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        super().__init__(clock)
        self._faults = faults
        self._counts = faults.counts
        self.lost: Callable[[str], None] = lambda _: None
        self.claimed: dict[str, tuple[datetime, Job]] = {}

    async def claim(self, job: Job, progress: Progress) -> OpenJob:
        if job.key not in self.open:
            self._counts["edge: a"] += 1
            self.claimed[job.key] = self._clock.now, job
        return await super().claim(job, progress)

    def _save(self, opened: OpenJob, progress: Progress) -> OpenJob | None:
        before = self.open.get(opened.key)
        stands = super()._save(opened, progress)
        if before and stands and stands is not before[1]:
            edge = _EDGES.get((before[1].progress.state, progress.state))
            if edge:
                self._counts[f"edge: {edge}"] += 1
            if edge == "h":
                self.lost(attempt_tag(opened.key, opened.progress.attempt))
        return stands

    async def open_jobs(self, *, start: str = "", within: timedelta | None = None) -> OpenJobs:
        cut = within is not None and self._faults.happens("poll: its listing is cut", 0.15)
        self.lists = self._faults.entries_of_a_cut_listing() if cut else None
        return await super().open_jobs(start=start, within=within)

    async def conclude(self, key: str, event: bytes) -> bytes:
        if key not in self.done:
            self._counts["edge: c"] += 1
        return await super().conclude(key, event)


class SimStorage(FakeStorage):
    """Remembers what lay in a folder whenever it was listed, and refuses to show some blobs."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        super().__init__(clock)
        self._faults = faults
        self.born: dict[str, datetime] = {}  # versions, by their ETags
        self.unreadable: set[str] = set()  # ETags of blobs that are refused permanently
        self.refused_until: dict[str, datetime] = {}  # paths
        self.page_size = 3
        self.changes: dict[str, datetime] = {}  # of each folder, the last one
        self.parts: set[str] = set()  # ETags of what was not there as a whole
        self.sizes: dict[str, int] = {}  # by ETag
        self.directories: set[str] = set()  # ETags of what only stands for one
        self.listed: Callable[[list[Blob]], None] = lambda _: None

    def put(self, path: str, **properties: Any) -> Blob:
        self.changed(path)
        blob = super().put(path, **properties)
        self.sizes[blob.etag] = blob.size
        self.born[blob.etag] = blob.modified
        if path.startswith("landing/"):
            self._may_refuse(blob)
        if blob.copying:
            self.parts.add(blob.etag)
        if blob.metadata:
            self.directories.add(blob.etag)
        return blob

    def _may_refuse(self, blob: Blob) -> None:
        if self._faults.happens("blob: refused permanently", 0.02):
            self.unreadable.add(blob.etag)
        elif self._faults.happens("blob: refused for a while", 0.03):
            self.refused_until[blob.path] = self._clock.now + self._faults.refusal()

    async def blob(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        found = await super().blob(place, path)
        if isinstance(found, Blob) and found.etag in self.unreadable:
            raise Refused("409", code="BlobUsesCustomerSpecifiedEncryption")
        if not self._faults.over and self._clock.now < self.refused_until.get(path, START):
            raise SetupError("400: refused for a while")
        return found

    def remove(self, path: str) -> Blob:
        self.changed(path)
        return self.blobs.pop(path)

    def rename(self, path: str, to: str) -> Blob:
        """Move a blob; its Last-Modified stays."""
        modified = self.remove(path).modified
        moved = msgspec.structs.replace(self.put(to), modified=modified)
        self.blobs[to] = moved
        return moved

    def changed(self, path: str) -> None:
        self.changes[path.rpartition("/")[0]] = self._clock.now

    async def folder(self, place: ContainerRef, path: str) -> list[Blob] | Forbidden:
        files = await super().folder(place, path)
        if not isinstance(files, Forbidden):
            self.listed(files)
        return files


class SimWorkspace:
    """The control plane."""

    def __init__(self, endpoints: "SimEndpoints") -> None:
        self._endpoints = endpoints

    async def places(self) -> dict[str, ContainerRef]:
        return {"workspaceblobstore": PLACE}

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        return await self._endpoints.endpoint(name)

    async def deployment_problem(self, endpoint: str, deployment: str) -> str | None:
        cannot_run = self._endpoints.cannot_run(endpoint)
        return f"deployment {deployment} is Failed" if cannot_run else None

    async def batch_job(self, name: str) -> BatchJob | None:
        return self._endpoints.in_workspace(name)

    async def cancel(self, batch_job: str) -> None:
        await self._endpoints.cancel(batch_job)
