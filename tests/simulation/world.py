"""One run: a workspace, its users, its hosts and its faults, all drawn from one seed."""

import asyncio
import contextlib
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import msgspec

from scoring.errors import Unavailable
from scoring.ports import Services
from scoring.routes.route import Ready, Route
from scoring.use_cases import on_poison
from scoring.use_cases.poll import poll
from scoring.use_cases.sweep import sweep
from tests.factories import folder_route, quiet_route, route
from tests.fakes import (
    FakeFolders,
    FakeMarks,
    FakeMessages,
    FakePublisher,
    Method,
    Through,
    services,
)
from tests.simulation.azureml import SimEndpoints
from tests.simulation.faults import DAY, HOUR, MINUTE, Faults
from tests.simulation.hosts import Host
from tests.simulation.loop import VirtualLoop
from tests.simulation.models import SimClock, SimLedger, SimStorage, SimWorkspace
from tests.simulation.operators import Operators
from tests.simulation.promises import GAP, Promises
from tests.simulation.queue import Queue
from tests.simulation.users import QUIET, Users

LONGEST = 40 * DAY
MANY = 10  # open jobs
_HISTORY = 20_000  # entries that a run keeps

FILLING = Ready(quiet=timedelta(seconds=QUIET), at_most=timedelta(minutes=20))
ROUTES = [
    route(name="files", match="landing/files/**", receipt=True),
    route(name="again", match="landing/files/**", endpoint="other", max_attempts=2),
    route(name="few", match="landing/few/**", endpoint="other", max_active=1),
    route(name="once", match="landing/once/**", on_overwrite="ignore"),
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
        ready=FILLING,
        endpoint="other",
        max_active=1,
        max_attempts=2,
    ),
    quiet_route(
        name="calm",
        match="landing/calm/{batch}/*.png",
        ready=FILLING,
        endpoint="other",
        late="ignore",
        max_active=1,
        receipt=True,
    ),
]


class Refusing(Through):
    """A ledger that cannot be listed."""

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        if method == "open_jobs":
            raise Unavailable("503")
        return await effect(*args)


class World:
    """Everything that one seed decides."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loop = VirtualLoop()  # type: ignore[abstract]
        self.races = self.chance.random() < 0.55
        self.busy = (10 if self.races else 20) * MINUTE  # how long users and faults go on
        self.slowest = self.chance.choice((30, 60, 200))  # seconds of a batch job, in races
        self.faults = Faults(self.chance, races=self.races)
        self.steps = 0
        self.history: deque[tuple[float, str, str, Any, Any]] = deque(maxlen=_HISTORY)
        self.clock = clock = SimClock(self.loop)
        self.ledger = SimLedger(clock, self.faults)
        self.folders = FakeFolders(clock)
        self.messages = FakeMessages(clock)
        self.storage = SimStorage(clock, self.faults)
        self.endpoints = SimEndpoints(self)
        self.publisher = FakePublisher()
        self.queue = Queue(self)
        self.routes = self._some_routes()
        self.routes_at_first = tuple(self.routes)
        self.users = Users(self)
        self.operators = Operators(self)
        self.promises = Promises(self)
        self.storage.listed = self.promises.listed
        self.ledger.lost = self.promises.declared_lost
        self.services = services(
            self.routes,
            self.loop.time,
            ledger=self.ledger,
            marks=FakeMarks(clock),
            folders=self.folders,
            messages=self.messages,
            storage=self.storage,
            workspace=SimWorkspace(self.endpoints),
            endpoints=self.endpoints,
            publisher=self.publisher,
        )
        self._names = itertools.count(1)
        self.hosts = [
            self._host() for _ in range(3 if self.races else self.chance.choice((1, 2, 3)))
        ]
        self._last_sweeps = 0
        self._no_sweep_until = 0.0
        # Where sweeps mend all that is lost, what they mend is not seen: some runs have none.
        self.sweeps = not self.races and self.chance.random() < 0.7
        if not self.sweeps:
            self.faults.lose_no_event()

    def _some_routes(self) -> list[Route]:
        """Draw routes; for races a single one, whose jobs wait for each other."""
        if self.races:
            name = self.chance.choice(("few", "few", "quiet", "quiet", "quiet", "calm", "marked"))
            limited = next(one for one in ROUTES if one.name == name)
            return [msgspec.structs.replace(limited, max_active=self.chance.choice((1, 1, 1, 4)))]
        return self.chance.sample(ROUTES, self.chance.choice((1, 2, 3)))

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
        function: Callable[[Services], Coroutine[Any, Any, None]] = poll
        if name == "sweep":
            function = sweep if self.sweeps else on_poison.go_on

        def answered(succeeded: bool) -> None:
            host.running.discard(name)
            if name == "sweep" and succeeded:
                self._last_sweeps += 1

        host.invoke(function(host.services), answered)

    def _tick(self, name: str) -> None:
        if name == "poll" and not (self.ledger.open or self.folders.marks):
            return  # it would find nothing
        if name == "sweep" and not (self.sweeps or self.messages.messages or self.faults.over):
            return  # nor would what goes on with kept messages
        host = self.any_host()
        if host is None or self.faults.happens(f"timer: {name} is missed", 0.05):
            return
        self._run_timer(name, host)
        if self.faults.happens(f"timer: {name} twice at once", 0.2):
            other = self.any_host() or host
            self.loop.call_later(self.chance.uniform(0, 15), self._run_timer, name, other)

    def overtake(self) -> None:
        """Let another host poll while one stands still."""
        other = self.any_host()
        if other:
            self.loop.call_later(self.chance.uniform(5, 30), self._run_timer, "poll", other)

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> list[str]:
        """Let everything happen, let the faults stop, wait for rest; return what was broken."""
        try:
            self.loop.run(self._run())
        except Exception as failure:  # noqa: BLE001 - of the product, or of the simulation
            return [f"the run came to no end: {type(failure).__name__}: {failure}"]
        return self.promises.violations

    async def _run(self) -> None:
        await self._first_sweep()
        self.users.come()
        if not self.races or self.chance.random() < 0.4:
            self.operators.come()
        self._plan_outages()
        await self._let_pass(self.busy, 30 if self.races else 40, 300)
        while self.races and not self._is_at_rest() and self.loop.time() < 2 * self.busy:
            await self._let_pass(2 * MINUTE, 30, 400)
        if self._away_until > self.loop.time():
            await self._let_pass(self._away_until - self.loop.time(), HOUR, 6 * HOUR)
        self.faults.over = True
        self.faults.away.clear()
        self._enable_all()
        await self._settle()
        self.promises.check()

    def _plan_outages(self) -> None:
        self._away_until = 0.0
        for service in ("ledger", "storage", "workspace", "endpoints", "publisher"):
            if self.faults.happens(f"outage: {service}", 0.08):
                start = self.chance.uniform(60, self.busy)
                lasts = self.chance.choice((5 * MINUTE, HOUR, DAY))
                self.loop.call_at(start, self.faults.away.add, service)
                self.loop.call_at(start + lasts, self.faults.away.discard, service)
                self._away_until = max(self._away_until, start + lasts)

    def _enable_all(self) -> None:
        self.routes = [msgspec.structs.replace(one, enabled=True) for one in self.routes]
        for host in self.hosts:
            # One that stands still goes on with what it did before it is replaced, too.
            self.loop.call_later(max(host.frozen_until - self.loop.time(), 0) + MINUTE, host.crash)

    async def _first_sweep(self) -> None:
        """Let the first sweep begin: from here on everything is seen, even if it comes to nothing."""
        if self.faults.happens("sweep: the first one comes to nothing", 0.15):
            self._no_sweep_until = 25 * MINUTE
            ledger = Refusing(self.services.ledger)
            with contextlib.suppress(Unavailable):
                await sweep(msgspec.structs.replace(self.services, ledger=ledger))
        else:
            await sweep(self.services)

    async def _let_pass(self, seconds: float, tick: float, sweep_every: float) -> None:
        """Let time pass with its ticks and sweeps."""
        end, next_sweep = self.loop.time() + seconds, self.loop.time() + sweep_every
        while self.loop.time() < end:
            await self.sleep(self.chance.uniform(tick, 2 * tick))
            self._tick("poll")
            if self.loop.time() >= next_sweep:
                next_sweep += sweep_every
                if self.loop.time() >= self._no_sweep_until:
                    self._tick("sweep")

    async def _settle(self) -> None:
        """Let time pass, in ever longer strides, until nothing is left to do."""
        stride, swept = 10 * MINUTE, self._last_sweeps
        # Empty files are left alone for an hour, and hosts may stand still for longer.
        at_least = self.loop.time() + 100 * MINUTE
        while self.loop.time() < LONGEST:
            await self._let_pass(4 * stride, stride, 4 * stride)
            await self.sleep(MINUTE)  # what the last of these began comes to its end
            if not self._is_at_rest() or self.loop.time() < at_least:
                swept = self._last_sweeps
            elif self._last_sweeps - swept > 1:
                return
            # A long queue on a limited route needs many ticks, not long ones.
            stride = min(stride * 2, 3 * HOUR) if len(self.ledger.open) < MANY else 10 * MINUTE

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
