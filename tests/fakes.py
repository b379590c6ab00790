"""The ports in memory, under one clock that tests move: small, and they can be asked what happened.

The contract tests run over `FakeLedger` and the real ledger alike.
"""

import asyncio
import inspect
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from scoring.errors import Unavailable
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.jobs.batch_job import Accepted, Answer, BatchEndpoint, BatchJob, JobState, Submission
from scoring.jobs.blobs import Blob, Forbidden, Page
from scoring.jobs.folders import Cooldown, Filling, FolderMark
from scoring.jobs.job import ContainerRef, Folder, Job
from scoring.jobs.landing import Landing
from scoring.jobs.marks import PollMark, SweepMark
from scoring.jobs.progress import OpenJob, OpenJobs, Progress
from scoring.ports import Services
from scoring.routes.route import Route
from scoring.timing import Timing
from scoring.use_cases import on_landing, poll, sweep
from scoring.use_cases.quiet_folders import Touches

Method = Callable[..., Awaitable[Any]]

START = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
PLACE = ContainerRef(
    account="landingzone", account_url="https://landingzone.blob.core.windows.net", container="c"
)


class Clock:
    """The one clock of the fakes; the storage services' times are its whole seconds."""

    def __init__(self) -> None:
        self.exact = START

    @property
    def now(self) -> datetime:
        return self.exact.replace(microsecond=0)

    def seconds(self) -> float:
        return (self.exact - START).total_seconds()

    def pass_(self, time: timedelta) -> None:
        self.exact += time


class FakeLedger:
    """The reference model of the ledger: entries with versions."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self.open: dict[str, tuple[Job, OpenJob]] = {}
        self.done: dict[str, bytes] = {}
        self.concluded: dict[str, datetime] = {}
        self.lists: int | None = None  # entries that a listing shows before it is cut
        self.answers_get_lost = False  # the client repeats each write, and conflicts with itself

    async def claim(self, job: Job, progress: Progress) -> OpenJob:
        for _ in self._tries():
            if job.key not in self.open:
                self.open[job.key] = job, self._entry(job.key, progress)
        return self.open[job.key][1]

    async def save(self, entry: OpenJob, progress: Progress) -> OpenJob | None:
        for _ in self._tries():
            current = self._save(entry, progress)
        return current

    def _tries(self) -> range:
        return range(2 if self.answers_get_lost else 1)

    def _save(self, entry: OpenJob, progress: Progress) -> OpenJob | None:
        job, current = self.open.get(entry.key, (None, None))
        if job is not None and current is not None and current.version == entry.version:
            current = self._entry(entry.key, progress)
            self.open[entry.key] = job, current
        return current

    async def job(self, key: str) -> Job | None:
        return self.open[key][0] if key in self.open else None

    async def entry(self, key: str) -> OpenJob | None:
        return self.open[key][1] if key in self.open else None

    async def open_jobs(self, *, start: str = "", within: timedelta | None = None) -> OpenJobs:
        del within
        entries = [entry for _, entry in self.open.values()]
        if self.lists is None:
            return OpenJobs(now=self._clock.now, jobs=entries)
        # Cut after so many, from the key `start` on.
        rest = sorted((one for one in entries if one.key >= start), key=lambda one: one.key)
        missing = rest[self.lists].key if len(rest) > self.lists else None
        return OpenJobs(
            now=self._clock.now, jobs=rest[: self.lists], missing_from=missing, whole=False
        )

    async def forget(self, entry: OpenJob) -> None:
        if entry.key in self.open and self.open[entry.key][1].version == entry.version:
            del self.open[entry.key]

    async def end(self, key: str) -> bytes | None:
        return self.done.get(key)

    async def ended(self) -> AsyncIterator[tuple[str, datetime]]:
        for key in list(self.done):
            yield key, self.concluded[key]

    async def conclude(self, key: str, event: bytes) -> bytes:
        self.concluded.setdefault(key, self._clock.now)
        return self.done.setdefault(key, event)

    def _entry(self, key: str, progress: Progress) -> OpenJob:
        metadata = progress.metadata()
        return OpenJob(
            key=key,
            progress=Progress.from_metadata(metadata),
            version=str(next(self._versions)),
            changed=self._clock.now,
        )


class FakeMarks:
    """The reference model of what one run leaves for the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self.poll = PollMark()
        self.sweeps: dict[str, SweepMark] = {}

    async def sweep_mark(self, route: str) -> tuple[SweepMark, datetime]:
        return self.sweeps.get(route, SweepMark()), self._clock.now

    async def leave_sweep_mark(self, route: str, mark: SweepMark) -> None:
        if mark.version == self.sweeps.get(route, SweepMark()).version:
            version = str(next(self._versions))
            self.sweeps[route] = msgspec.structs.replace(mark, version=version)

    async def poll_mark(self) -> PollMark:
        return self.poll

    async def leave_poll_mark(self, mark: PollMark) -> None:
        if mark.version == self.poll.version:
            self.poll = msgspec.structs.replace(mark, version=str(next(self._versions)))


class FakeMessages:
    """The reference model of the messages that the ledger keeps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self.messages: dict[str, tuple[bytes, DeadLetter]] = {}  # by their entries' names

    async def keep(
        self, kind: DeadLetterKind, digest: str, message: bytes, reason: str
    ) -> DeadLetter:
        kept = DeadLetter(
            kind=kind,
            digest=digest,
            since=self._clock.now,
            reason=reason,
            size=len(message),
            announced=False,
            version=str(next(self._versions)),
        )
        return self.messages.setdefault(kept.entry, (message, kept))[1]

    async def kept(self, kind: DeadLetterKind) -> list[DeadLetter]:
        return [kept for _, kept in self.messages.values() if kept.kind is kind]

    async def message(self, kept: DeadLetter) -> bytes | None:
        return self.messages[kept.entry][0] if kept.entry in self.messages else None

    async def mark_announced(self, kept: DeadLetter) -> None:
        if self._is_current(kept):
            version = str(next(self._versions))
            marked = msgspec.structs.replace(kept, announced=True, version=version)
            self.messages[kept.entry] = self.messages[kept.entry][0], marked

    async def drop(self, kept: DeadLetter) -> None:
        if self._is_current(kept):
            del self.messages[kept.entry]

    def _is_current(self, kept: DeadLetter) -> bool:
        return self.messages.get(kept.entry, (b"", None))[1] == kept


class FakeFolders:
    """The reference model of what the ledger keeps of folders."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._versions = itertools.count(1)
        self.marks: dict[str, tuple[Folder, FolderMark]] = {}
        self.turns: dict[str, Cooldown] = {}
        self.touches = 0

    async def touch(self, folder: Folder, known: FolderMark | None) -> FolderMark:
        self.touches += 1
        first, mark = self.marks.get(folder.key, (folder, None))
        if mark is None:
            mark = FolderMark(
                key=folder.key,
                version="",
                changed=self._clock.now,
                since=self._clock.now,
                quiet=folder.ready.quiet,
                at_most=folder.ready.at_most,
            )
        longest = {
            "quiet": max(mark.quiet, folder.ready.quiet),
            "at_most": max(mark.at_most, folder.ready.at_most),
        }
        return self._write(first, mark, **longest)

    async def filling(self) -> Filling:
        return Filling(now=self._clock.now, marks=[mark for _, mark in self.marks.values()])

    async def folder(self, key: str) -> Folder | None:
        return self.marks[key][0] if key in self.marks else None

    async def count_anew(self, mark: FolderMark, since: datetime) -> None:
        if mark.key in self.marks:
            folder, current = self.marks[mark.key]
            self._write(folder, current, since=since)

    async def drop_mark(self, mark: FolderMark) -> None:
        if mark.key in self.marks and self.marks[mark.key][1].version == mark.version:
            del self.marks[mark.key]

    async def cooldown(self, key: str) -> Cooldown | None:
        return self.turns.get(key)

    async def start_cooldown(self, key: str, tag: str, last: Cooldown | None) -> bool:
        if self.turns.get(key) == last:
            version = str(next(self._versions))
            self.turns[key] = Cooldown(tag=tag, taken=self._clock.now, version=version)
        return self.turns[key].tag == tag

    def _write(self, folder: Folder, mark: FolderMark, **changes: Any) -> FolderMark:
        written = {"version": str(next(self._versions)), "changed": self._clock.now}
        mark = msgspec.structs.replace(mark, **written, **changes)
        self.marks[folder.key] = folder, mark
        return mark


class FakeStorage:
    """Blobs without contents, but for receipts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._etags = itertools.count(1)
        self.blobs: dict[str, Blob] = {}
        self.forbidden: set[str] = set()
        self.page_size = 5_000
        self.folder_listings = 0
        self.receipts: dict[str, bytes] = {}
        self.leave_failure: Exception | None = None

    def put(self, path: str, *, size: int = 10, **properties: Any) -> Blob:
        self.blobs[path] = Blob(
            path=path,
            etag=f"0x{next(self._etags)}",
            size=size,
            modified=self._clock.now,
            **properties,
        )
        return self.blobs[path]

    async def blob(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        return Forbidden() if path in self.forbidden else self.blobs.get(path)

    async def folder(self, place: ContainerRef, path: str) -> list[Blob] | Forbidden:
        self.folder_listings += 1
        if path in self.forbidden:
            return Forbidden()
        inside = f"{path}/"
        return [
            blob
            for name, blob in sorted(self.blobs.items())
            if name.startswith(inside)
            and "/" not in name.removeprefix(inside)
            and not blob.is_directory
        ]

    async def page(self, place: ContainerRef, prefix: str, start: str) -> Page:
        paths = sorted(path for path in self.blobs if path.startswith(prefix) and path >= start)
        blobs = [self.blobs[path] for path in paths[: self.page_size]]
        return Page(
            now=self._clock.now,
            blobs=[blob for blob in blobs if not blob.is_directory],
            next="".join(paths[self.page_size : self.page_size + 1]),
        )

    async def newest(self, place: ContainerRef, path: str) -> Blob | Forbidden | None:
        if path in self.forbidden:
            return Forbidden()
        below = [blob for name, blob in self.blobs.items() if name.startswith(f"{path}/")]
        return max(below, key=lambda blob: blob.modified, default=None)

    async def leave(self, place: ContainerRef, path: str, content: bytes) -> None:
        if self.leave_failure is not None:
            raise self.leave_failure
        self.receipts.setdefault(path, content)


class FakeWorkspace:
    """A workspace with one datastore and whatever endpoints are asked for."""

    def __init__(self, endpoints: "FakeEndpoints") -> None:
        self._endpoints = endpoints
        self.without: set[str] = set()
        self.canceled: list[str] = []
        self.default_deployment: str | None = "default"
        self.problems: dict[str, str] = {}  # of deployments, by "endpoint/deployment"
        self.batch_jobs: dict[str, BatchJob] = {}  # what ARM knows of them
        self.after_cancel = JobState.CANCELED
        self.failure: Exception | None = None
        self.cancel_failure: Exception | None = None

    async def places(self) -> dict[str, ContainerRef]:
        self._fail()
        return {"workspaceblobstore": PLACE}

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        self._fail()
        if name in self.without:
            return None
        uri = f"https://{name}.ml.azure.com/jobs"
        return BatchEndpoint(scoring_uri=uri, default_deployment=self.default_deployment)

    async def deployment_problem(self, endpoint: str, deployment: str) -> str | None:
        return self.problems.get(f"{endpoint}/{deployment}")

    async def batch_job(self, name: str) -> BatchJob | None:
        self._fail()
        return self.batch_jobs.get(name)

    async def cancel(self, batch_job: str) -> None:
        self._fail()
        if self.cancel_failure is not None:
            raise self.cancel_failure
        self.canceled.append(batch_job)
        if not self._endpoints.jobs[batch_job].state.ended:
            self._endpoints.turn(batch_job, self.after_cancel)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class FakeEndpoints:
    """Batch endpoints whose jobs do what the test says."""

    def __init__(self) -> None:
        self._names = itertools.count(1)
        self.submissions: list[Submission] = []
        self.jobs: dict[str, BatchJob] = {}
        self.answers: list[Callable[[Answer], Answer] | Answer] = []
        self.unlisted: set[str] = set()
        self.fails: set[str] = set()  # batch jobs that a test means to let fail
        self.stays: set[str] = set()  # and that it lets come to no end
        self.listings = 0
        self.questions = 0
        self.failure: Exception | None = None

    async def submit(self, endpoint: BatchEndpoint, submission: Submission) -> Answer:
        self.submissions.append(submission)
        planned = self.answers.pop(0) if self.answers else None
        if planned is not None and not callable(planned):
            return planned
        accepted = self._create(submission)
        return planned(accepted) if planned is not None else accepted

    async def batch_job(self, endpoint: BatchEndpoint, name: str) -> BatchJob | None:
        self.questions += 1
        self._fail()
        return self.jobs.get(name)

    async def batch_jobs(self, endpoint: BatchEndpoint) -> list[BatchJob]:
        self.listings += 1
        self._fail()
        return [job for name, job in self.jobs.items() if name not in self.unlisted]

    def turn(self, name: str, state: JobState, message: str = "") -> None:
        self.jobs[name] = msgspec.structs.replace(self.jobs[name], state=state, message=message)

    def _create(self, submission: Submission) -> Accepted:
        name = f"batchjob-{next(self._names)}"
        self.jobs[name] = BatchJob(
            name=name,
            state=JobState.OPEN,
            outputs=(submission.output_uri,) if submission.output_uri else (),
            marks=(submission.tag,),
        )
        return Accepted(batch_job=name)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


class FakePublisher:
    """A topic that keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.refuses = False

    async def publish(self, event: bytes) -> None:
        if self.refuses:
            raise Unavailable("the topic refuses")
        self.published.append(event)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(event) for event in self.published]

    @property
    def ends(self) -> list[tuple[str, str | None]]:
        """Status and reason code of each published event."""
        return [
            (event["data"]["status"], (event["data"]["reason"] or {}).get("code"))
            for event in self.events
        ]


class World:
    """All fakes together, and the services made of them."""

    def __init__(self, *routes: Route) -> None:
        self.clock = Clock()
        self.ledger = FakeLedger(self.clock)
        self.marks = FakeMarks(self.clock)
        self.folders = FakeFolders(self.clock)
        self.kept = FakeMessages(self.clock)
        self.storage = FakeStorage(self.clock)
        self.endpoints = FakeEndpoints()
        self.workspace = FakeWorkspace(self.endpoints)
        self.publisher = FakePublisher()
        self.services = services(
            list(routes),
            self.clock.seconds,
            ledger=self.ledger,
            marks=self.marks,
            folders=self.folders,
            messages=self.kept,
            storage=self.storage,
            workspace=self.workspace,
            endpoints=self.endpoints,
            publisher=self.publisher,
        )

    def complete(self, batch_job: str) -> None:
        """Let a batch job write its output and complete."""
        for uri in self.endpoints.jobs[batch_job].outputs:
            self.storage.put(uri.partition("/paths/")[2])
        self.endpoints.turn(batch_job, JobState.COMPLETED)

    async def land(self, path: str, **properties: Any) -> Landing:
        """Let a blob land, and its event arrive."""
        landing = self.landing(self.storage.put(path, **properties))
        await on_landing.land(self.services, landing)
        return landing

    def landing(self, blob: Blob) -> Landing:
        """Return the landing of a blob in the datastore's container."""
        return blob.landing(PLACE, blob.modified)

    async def tick(self, after: timedelta = timedelta(seconds=15)) -> None:
        """Let time pass, then run a tick of poll."""
        self.clock.pass_(after)
        await poll.poll(self.services)

    async def sweep(self, after: timedelta = timedelta(minutes=10)) -> None:
        """Let time pass, then run a sweep."""
        self.clock.pass_(after)
        await sweep.sweep(self.services)

    async def ticks(self, time: timedelta, every: timedelta = timedelta(seconds=15)) -> None:
        """Let time pass with its ticks of poll."""
        for _ in range(int(time / every)):
            await self.tick(every)

    def operations(self) -> Counter[str]:
        """Return how often each operation of ledger and storage is called from now on."""
        count: Counter[str] = Counter()
        ports = ("ledger", "marks", "folders", "storage")
        counted = {name: _Counted(getattr(self.services, name), count) for name in ports}
        self.services = host(self.services, **counted)
        return count

    @property
    def progress(self) -> Progress:
        """The progress of the one open job."""
        ((_, entry),) = self.ledger.open.values()
        return entry.progress


def services(routes: Sequence[Route], clock: Callable[[], float], **ports: Any) -> Services:
    """Return the services of a host that reaches these ports, and all that is dull about them."""
    nonces = itertools.count(1)
    return Services(
        routes=routes,
        route_names=[route.name for route in routes],
        version="1.2.3",
        source="/workspace",
        escaping="literal",
        metadata_prefix="landfall_",
        timing=Timing(),
        nonce=lambda: f"nonce-{next(nonces)}",
        touches=Touches(ports["folders"], clock),
        clock=clock,
        **ports,
    )


def host(of: Services, **changes: Any) -> Services:
    """Return the services of another host: what it touched is its own, and some ports may be."""
    changed = msgspec.structs.replace(of, **changes)
    touches = Touches(changed.folders, changed.clock)
    return msgspec.structs.replace(changed, touches=touches)


class Through:
    """A port behind which another one is: each call goes through `call`."""

    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, method: str) -> Any:
        effect = getattr(self._port, method)
        if not inspect.iscoroutinefunction(effect):
            return effect

        async def call(*args: Any, **options: Any) -> Any:
            return await self.call(method, partial(effect, **options), args)

        return call

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        """Let a method of the port have its effect, or do something else."""
        return await effect(*args)


class _Counted(Through):
    """A port whose calls are counted by the methods' names."""

    def __init__(self, port: object, count: Counter[str]) -> None:
        super().__init__(port)
        self._count = count

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        self._count[method] += 1
        return await effect(*args)


class Stalled:
    """The first call of a port's method waits, before or after its effect, until it may go on."""

    def __init__(self, port: Any, method: str, *, after_effect: bool = False) -> None:
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        whole = getattr(port, method)

        async def call(*args: Any, **options: Any) -> Any:
            setattr(port, method, whole)
            result = await whole(*args, **options) if after_effect else None
            self.reached.set()
            await self.go_on.wait()
            return result if after_effect else await whole(*args, **options)

        setattr(port, method, call)
