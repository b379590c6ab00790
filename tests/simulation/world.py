"""One run: a workspace, its users, its hosts and its faults, all drawn from one seed."""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from scoring import poison
from scoring.batch_jobs import BatchEndpoint
from scoring.blobs import Blob, Forbidden
from scoring.job import Job, Place, attempt_tag
from scoring.poll import poll
from scoring.progress import OpenJob, Progress, State
from scoring.route import Ready
from scoring.sweep import sweep
from tests.factories import folder_route, quiet_route, route
from tests.fakes import (
    PLACE,
    START,
    Clock,
    FakeFolders,
    FakeLedger,
    FakeMessages,
    FakePublisher,
    FakeStorage,
    services,
)
from tests.simulation.azureml import SimEndpoints
from tests.simulation.faults import DAY, HOUR, MINUTE, Faults
from tests.simulation.hosts import Host
from tests.simulation.loop import VirtualLoop
from tests.simulation.promises import GAP, Promises
from tests.simulation.queue import Queue

BUSY = 30 * MINUTE
LONGEST = 40 * DAY
_HISTORY = 20_000  # entries that a run keeps

ROUTES = [
    route(name="files", match="landing/files/*", receipt=True),
    route(name="again", match="landing/files/*", endpoint="other", max_attempts=2),
    route(name="few", match="landing/few/*", max_active=1),
    route(name="once", match="landing/once/*", on_overwrite="ignore"),
    folder_route(
        name="marked",
        match="landing/marked/{batch}/*.png",
        ready=Ready(marker="landing/marked/{batch}.done"),
        max_active=1,
        minimum_gap=GAP,
    ),
    quiet_route(
        name="quiet",
        match="landing/quiet/{batch}/*.png",
        endpoint="other",
        max_active=1,
        max_attempts=2,
    ),
    quiet_route(
        name="calm",
        match="landing/calm/{batch}/*.png",
        late="ignore",
        max_active=1,
        receipt=True,
    ),
]


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
        self._counts = faults.counts
        self.lost: Callable[[str], None] = lambda _: None
        self.claimed: dict[str, tuple[datetime, Job]] = {}
        self.concluded: dict[str, datetime] = {}

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

    async def conclude(self, key: str, event: bytes) -> bytes:
        if key not in self.done:
            self._counts["edge: c"] += 1
            self.concluded[key] = self._clock.now
        return await super().conclude(key, event)


class SimStorage(FakeStorage):
    """Remembers what lay in a folder whenever it was listed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.page_size = 3
        self.changes: dict[str, datetime] = {}  # of each folder, the last one
        self.listed: Callable[[list[Blob]], None] = lambda _: None

    def put(self, path: str, **properties: Any) -> Blob:
        self.changed(path)
        return super().put(path, **properties)

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

    async def folder(self, place: Place, path: str) -> list[Blob] | Forbidden:
        files = await super().folder(place, path)
        if not isinstance(files, Forbidden):
            self.listed(files)
        return files


class SimWorkspace:
    """The control plane."""

    def __init__(self, endpoints: SimEndpoints) -> None:
        self._endpoints = endpoints

    async def places(self) -> dict[str, Place]:
        return {"workspaceblobstore": PLACE}

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        return await self._endpoints.endpoint(name)

    async def cancel(self, batch_job: str) -> None:
        await self._endpoints.cancel(batch_job)


class World:
    """Everything that one seed decides."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loop = VirtualLoop()  # type: ignore[abstract]
        self.faults = Faults(self.chance)
        self.steps = 0
        self.history: deque[tuple[float, str, str, Any, Any]] = deque(maxlen=_HISTORY)
        clock = SimClock(self.loop)
        self.ledger = SimLedger(clock, self.faults)
        self.folders = FakeFolders(clock)
        self.messages = FakeMessages(clock)
        self.storage = SimStorage(clock)
        self.endpoints = SimEndpoints(self)
        self.publisher = FakePublisher()
        self.queue = Queue(self)
        self.routes = self.chance.sample(ROUTES, self.chance.choice((1, 2, 3)))
        self.routes_at_first = tuple(self.routes)
        self._folders = sorted({one.match.split("/")[1] for one in self.routes})
        self.promises = Promises(self)
        self.storage.listed = self.promises.listed
        self.ledger.lost = self.promises.declared_lost
        self.services = services(
            self.routes,
            self.loop.time,
            ledger=self.ledger,
            folders=self.folders,
            messages=self.messages,
            storage=self.storage,
            workspace=SimWorkspace(self.endpoints),
            endpoints=self.endpoints,
            publisher=self.publisher,
        )
        self._names = itertools.count(1)
        self.hosts = [self._host() for _ in range(self.chance.choice((1, 2, 3, 3)))]
        self._last_sweeps = 0
        # Where sweeps mend all that is lost, what they mend is not seen: some runs have none.
        self.sweeps = self.chance.random() < 0.6
        if not self.sweeps:
            self.faults.lose_no_event()

    # --- what happened ---------------------------------------------------------------------------

    def note(self, who: str, what: str, args: Any = None, result: Any = None) -> None:
        """Remember an event of the run."""
        self.history.append((self.loop.time(), who, what, args, result))

    # --- hosts -----------------------------------------------------------------------------------

    def _host(self) -> Host:
        newer = self.faults.happens("host: newer version", 0.3)
        return Host(self, f"host-{next(self._names)}", list(self.routes), newer=newer)

    def replace(self, dead: Host) -> None:
        """Let another process come up for one that is dead."""

        def come_up() -> None:
            self.hosts[self.hosts.index(dead)] = self._host()

        self.loop.call_later(self.chance.uniform(1, 60), come_up)

    def any_host(self) -> Host | None:
        """Return a process that takes an invocation, if there is one."""
        usable = [host for host in self.hosts if host.usable]
        return self.chance.choice(usable) if usable else None

    # --- the timers ------------------------------------------------------------------------------

    def _run_timer(self, name: str, host: Host) -> None:
        if name in host.running or not host.usable:
            return  # an overrun: a host runs one at a time
        host.running.add(name)
        function = poll
        if name == "sweep":
            function = sweep if self.sweeps else poison.go_on

        def answered(succeeded: bool) -> None:
            host.running.discard(name)
            if name == "sweep" and succeeded:
                self._last_sweeps += 1

        host.invoke(function(host.services), answered)

    def _tick(self, name: str) -> None:
        host = self.any_host()
        if host is None or self.faults.happens(f"timer: {name} is missed", 0.05):
            return
        self._run_timer(name, host)
        if self.faults.happens(f"timer: {name} twice at once", 0.2):
            other = self.any_host() or host
            self.loop.call_later(self.chance.uniform(0, 15), self._run_timer, name, other)

    # --- users -----------------------------------------------------------------------------------

    def _user(self) -> None:
        number = self.chance.randrange(4)
        kind = self.chance.choice((*self._folders, *self._folders, "odd", "operator"))
        if kind == "odd":
            self.faults.counts["message: malformed"] += 1
            self.queue.raise_nonsense()
        elif kind == "operator":
            self._operate()
        elif kind == "marked":
            self._put(f"landing/marked/b{number % 2}/{number}.png")
            self._put(f"landing/marked/b{number % 2}.done", size=0)
        elif kind in {"quiet", "calm"}:
            for _ in range(self.chance.randint(1, 3)):
                path = f"landing/{kind}/b{number % 2}/{self.chance.randrange(5)}.png"
                self._touch_file(path)
                # Somebody comes back just when the folder becomes quiet.
                self.loop.call_later(self.chance.uniform(290, 420), self._touch_file, path)
        else:
            for more in range(self.chance.choice((1, 4, 8) if kind == "few" else (1, 1, 3))):
                self._touch_file(f"landing/{kind}/{number + more}.csv")

    def _touch_file(self, path: str) -> None:
        there = path in self.storage.blobs
        what = self.chance.random()
        if there and what < 0.25:
            self.note("user", f"deletes {path}")
            self.faults.counts["blob: deleted"] += 1
            self.storage.remove(path)
        elif there and what < 0.33 and self.sweeps:
            self.note("user", f"edits the metadata of {path}")
            self.faults.counts["blob: metadata edited"] += 1
            self.storage.put(path)  # another version, and no event
        elif there and what < 0.40:
            to = f"{path.rpartition('.')[0]}-moved.{path.rpartition('.')[2]}"
            self.note("user", f"renames {path}")
            self.faults.counts["blob: renamed"] += 1
            self.queue.raise_rename(self.storage.rename(path, to))
        else:
            self.faults.counts["blob: overwritten" if there else "blob: landed"] += 1
            self._put(path, size=0 if what > 0.97 else 10)

    def _put(self, path: str, *, size: int = 10) -> None:
        blob = self.storage.put(path, size=size)
        self.note("user", f"drops {path} {blob.etag}")
        self.queue.raise_event(blob.landing(PLACE, blob.modified))

    def _operate(self) -> None:
        """Deploy other routes: hosts get them one after the other."""
        if not self.routes:
            return
        number = self.chance.randrange(len(self.routes))
        route, what = self.routes[number], self.chance.random()
        if what < 0.15:
            self.faults.counts["routes: removed"] += 1
            self.note("operator", f"removes {route.name}")
            del self.routes[number]
        else:
            limits = (None,) if route.limit is None else (1, 2)
            changed = msgspec.structs.replace(
                route,
                enabled=self.chance.random() < 0.5,
                max_active=self.chance.choice(limits) or "unlimited",
            )
            self.faults.counts["routes: changed"] += 1
            self.note("operator", f"{route.name}: {changed.enabled} {changed.max_active}")
            self.routes[number] = changed
        for host in list(self.hosts):
            self.loop.call_later(self.chance.uniform(0, 120), host.crash)

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """Let everything happen, let the faults stop, wait for rest; return what was broken."""
        try:
            self.loop.run(self._run())
        except Exception as failure:  # noqa: BLE001 - of the product, or of the simulation
            return [f"the run came to no end: {type(failure).__name__}: {failure}"]
        return self.promises.violations

    async def _run(self) -> None:
        await sweep(self.services)  # the first: from here on everything is seen
        for _ in range(self.chance.randint(6, 16)):
            self.loop.call_later(self.chance.uniform(60, BUSY), self._user)
        self._plan_outages()
        await self._let_pass(BUSY, 35, 600)
        if self._away_until > self.loop.time():
            await self._let_pass(self._away_until - self.loop.time(), 20 * MINUTE, 4 * HOUR)
        self.faults.over = True
        self.faults.away.clear()
        self._enable_all()
        await self._settle()
        self.promises.check()

    def _plan_outages(self) -> None:
        self._away_until = 0.0
        for service in ("ledger", "storage", "workspace", "endpoints", "publisher"):
            if self.faults.happens(f"outage: {service}", 0.08):
                start = self.chance.uniform(60, BUSY)
                lasts = self.chance.choice((5 * MINUTE, HOUR, DAY))
                self.loop.call_at(start, self.faults.away.add, service)
                self.loop.call_at(start + lasts, self.faults.away.discard, service)
                self._away_until = max(self._away_until, start + lasts)

    def _enable_all(self) -> None:
        self.routes = [msgspec.structs.replace(one, enabled=True) for one in self.routes]
        for host in list(self.hosts):
            host.frozen_until = min(host.frozen_until, self.loop.time() + 90 * MINUTE)
            host.crash()

    async def _let_pass(self, seconds: float, tick: float, sweep_every: float) -> None:
        """Let time pass with its ticks and sweeps."""
        end, next_sweep = self.loop.time() + seconds, self.loop.time() + sweep_every
        while self.loop.time() < end:
            await self.sleep(self.chance.uniform(tick, 2 * tick))
            self._tick("poll")
            if self.loop.time() >= next_sweep:
                next_sweep += sweep_every
                self._tick("sweep")

    async def _settle(self) -> None:
        """Let time pass, in ever longer strides, until nothing is left to do."""
        stride, swept = 5 * MINUTE, self._last_sweeps
        at_least = self.loop.time() + 80 * MINUTE  # empty files are left alone for an hour
        while self.loop.time() < LONGEST:
            await self._let_pass(4 * stride, stride, 4 * stride)
            if self._last_sweeps - swept > 2 and self._is_at_rest():
                return
            if not self._is_at_rest() or self.loop.time() < at_least:
                swept = self._last_sweeps
            stride = min(stride * 2, 3 * HOUR)

    def _is_at_rest(self) -> bool:
        kept = any(not one.announced for _, one in self.messages.messages.values())
        return not (self.ledger.open or self.folders.marks or self.queue.messages or kept)

    async def sleep(self, seconds: float) -> None:
        """Let time pass outside of any host."""
        if seconds:
            woken = self.loop.create_future()
            self.loop.call_later(seconds, _wake, woken)
            await woken


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)
