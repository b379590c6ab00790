"""What the use cases need of the world, in the verbs of the domain.

Every method raises `Unavailable` when its service cannot be reached or gives no usable answer, and
`SetupError` when it refuses or may not be asked, unless it says otherwise.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.jobs.batch_job import Answer, BatchEndpoint, BatchJob, Submission
from scoring.jobs.blobs import Blob, Forbidden, Page
from scoring.jobs.folders import Cooldown, Filling, FolderMark
from scoring.jobs.job import ContainerRef, Folder, Job
from scoring.jobs.marks import PollMark, SweepMark
from scoring.jobs.progress import OpenJob, OpenJobs, Progress
from scoring.routes.route import Route
from scoring.timing import Timing
from scoring.uris import Escaping

# --- the ledger ---------------------------------------------------------------------------------


class Ledger(Protocol):
    """Where jobs are kept; the only truth.

    `claim` and `save` return the entry as it stands afterwards. A client may conflict with itself
    when it repeats a write whose answer was lost, so the nonce alone
    decides: the write succeeded if and only if the entry carries the writer's nonce.
    """

    async def claim(self, job: Job, progress: Progress) -> OpenJob:
        """Create the entry of a job unless there is one."""

    async def save(self, entry: OpenJob, progress: Progress) -> OpenJob | None:
        """Replace the progress if the entry still is as `entry` shows it; None: it is gone."""

    async def job(self, key: str) -> Job | None:
        """Return what never changes about an open job; None: there is no such entry."""

    async def entry(self, key: str) -> OpenJob | None:
        """Return the entry of a job as it is now; None: there is no such entry."""

    async def open_jobs(self, *, start: str = "", within: timedelta | None = None) -> OpenJobs:
        """List all open jobs, those from the key `start` on first.

        A listing that takes longer than `within` is cut; `missing_from` then says what it lacks.
        """

    async def forget(self, entry: OpenJob) -> None:
        """Delete the entry if it still is as `entry` shows it."""

    async def end(self, key: str) -> bytes | None:
        """Return the event of a job that has ended, else None."""

    async def conclude(self, key: str, event: bytes) -> bytes:
        """Write the end of a job unless it is written; return the event that stands."""

    def ended(self) -> AsyncIterator[tuple[str, datetime]]:
        """Yield the keys of the jobs that have ended, and when."""


class Marks(Protocol):
    """What one run of poll, or of a route's sweep, leaves for the next."""

    async def poll_mark(self) -> PollMark:
        """Return what the last tick of poll left."""

    async def leave_poll_mark(self, mark: PollMark) -> None:
        """Leave this for the next tick, unless another poll did since `poll_mark`."""

    async def sweep_mark(self, route: str) -> tuple[SweepMark, datetime]:
        """Return how far the sweep of a route is, and the storage's time."""

    async def leave_sweep_mark(self, route: str, mark: SweepMark) -> None:
        """Leave this for the next sweep, unless another one did since `sweep_mark`."""


# --- folders ------------------------------------------------------------------------------------


class Folders(Protocol):
    """What the ledger keeps of folders, by `Folder.key`."""

    async def touch(self, folder: Folder, known: FolderMark | None) -> FolderMark:
        """Change the mark of a folder, or create it; return it.

        A caller that saw an earlier version cannot delete it any more. Its `quiet` and `at_most`
        are the longest of all callers' routes. `known` is the mark as the caller saw it last.
        """

    async def filling(self) -> Filling:
        """List the marks of all folders that are being filled."""

    async def folder(self, key: str) -> Folder | None:
        """Return the folder that a mark stands for; None: there is no such mark."""

    async def count_anew(self, mark: FolderMark, since: datetime) -> None:
        """Let `at_most` count from another time, also if the mark is touched meanwhile."""

    async def drop_mark(self, mark: FolderMark) -> None:
        """Delete a mark if it still is as `mark` shows it."""

    async def cooldown(self, key: str) -> Cooldown | None:
        """Return the last submission of a folder; None: there was none."""

    async def start_cooldown(self, key: str, tag: str, last: Cooldown | None) -> bool:
        """Write down that an attempt is submitted; False: another one was since `last`."""


class Touches(Protocol):
    """What this host knows of the folders that it saw files land in."""

    async def touch(self, folder: Folder) -> None:
        """Write down that a file landed in a folder, unless this host just did."""


# --- dead letters -----------------------------------------------------------------


class Messages(Protocol):
    """What the ledger keeps of messages that on_landing gave up."""

    async def keep(
        self, kind: DeadLetterKind, digest: str, message: bytes, reason: str
    ) -> DeadLetter:
        """Keep a message unless it is kept; return the entry that stands."""

    async def kept(self, kind: DeadLetterKind) -> list[DeadLetter]:
        """List the messages that are kept."""

    async def message(self, kept: DeadLetter) -> bytes | None:
        """Return the bytes of a message; None: it is not kept any more."""

    async def mark_announced(self, kept: DeadLetter) -> None:
        """Mark a message as announced if its entry still is as `kept` shows it."""

    async def drop(self, kept: DeadLetter) -> None:
        """Delete the entry of a message if it still is as `kept` shows it."""


# --- the landing storage ------------------------------------------------------------------------


class LandingStorage(Protocol):
    """The storage where files land, and outputs and receipts are written.

    Contents are never read, and nothing but receipts is written by Landfall itself.

    Looks raise `Refused` where the storage will never show this one blob, such as one that was
    written with a key that only its writer has. `code` is the storage's word for it. Every other
    definite refusal is a `SetupError`, whatever is over after a while `Unavailable`; so is a look
    that takes longer than a minute.
    """

    async def blob(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        """Return a blob's properties; None: there is none."""

    async def folder(self, place: ContainerRef, path: str) -> list[Blob] | Forbidden:
        """List the blobs directly in a folder."""

    async def page(self, place: ContainerRef, prefix: str, start: str) -> Page:
        """List the blobs whose paths begin with a prefix, directories left out, from a place on."""

    async def newest(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        """Return the newest of the blobs at any depth of a folder; None: there is none."""

    async def leave(self, place: ContainerRef, path: str, content: bytes) -> None:
        """Create a blob of JSON unless there is one; `SetupError` where there can never be one."""


# --- the workspace ------------------------------------------------------------------------------


class Workspace(Protocol):
    """The control plane of the Azure ML workspace."""

    async def places(self) -> dict[str, ContainerRef]:
        """Return where each datastore in blob storage is."""

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        """Return what is known of a batch endpoint; None: there is none."""

    async def deployment_problem(self, endpoint: str, deployment: str) -> str | None:
        """Return why a deployment cannot be invoked; None: it can, or it is not known. Never raises."""

    async def batch_job(self, name: str) -> BatchJob | None:
        """Return what the workspace says of a batch job; None: it knows none of that name."""

    async def cancel(self, batch_job: str) -> None:
        """Ask for the cancel of a batch job."""


# --- the batch endpoint -------------------------------------------------------------------------


class BatchEndpoints(Protocol):
    """Submitting to batch endpoints and asking after their batch jobs."""

    async def submit(self, endpoint: BatchEndpoint, submission: Submission) -> Answer:
        """POST an attempt. Never raises for what the endpoint or the network does."""

    async def batch_job(self, endpoint: BatchEndpoint, name: str) -> BatchJob | None:
        """Return what the endpoint says of a batch job; None: it knows none of that name."""

    async def batch_jobs(self, endpoint: BatchEndpoint) -> list[BatchJob]:
        """Return the whole listing of an endpoint's batch jobs.

        Raises `Unavailable` when it was cut off: a part of a listing is none.
        """


# --- publishing ---------------------------------------------------------------------------------


class Publisher(Protocol):
    """The topic of the events."""

    async def publish(self, event: bytes) -> None:
        """Publish one event, these very bytes."""


# --- all together -------------------------------------------------------------------------------


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What a use case is given: the ports, and the app's own set-up."""

    ledger: Ledger
    marks: Marks
    folders: Folders
    messages: Messages
    storage: LandingStorage
    workspace: Workspace
    endpoints: BatchEndpoints
    publisher: Publisher
    routes: Sequence[Route]
    version: str  # of Landfall
    route_names: Sequence[str] = ()  # also of the routes that are left out
    source: str  # of the events
    escaping: Escaping
    metadata_prefix: str  # of the landed blob's metadata that stand in its event
    timing: Timing
    nonce: Callable[[], str]
    touches: Touches
    clock: Callable[[], float]  # seconds that have passed since whenever; never the time of day

    def until(self, wait: timedelta) -> float:
        """Return when a wait that begins now is over, by the clock."""
        return self.clock() + wait.total_seconds()
