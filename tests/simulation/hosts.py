"""Hosts: processes that run the product's functions, crash, and freeze."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from scoring.errors import Unavailable
from scoring.jobs.batch_job import NotSent, Unclear
from scoring.jobs.progress import BY_OPERATOR, State
from scoring.routes.route import Route
from tests.fakes import Method, Through, host

if TYPE_CHECKING:
    from tests.simulation.world import World

PORTS = ("ledger", "marks", "folders", "messages", "storage", "workspace", "endpoints", "publisher")
FUNCTION_TIMEOUT = 300.0  # seconds, after which the platform kills the worker
_CACHED = frozenset({"places", "endpoint"})  # mostly answered from memory


class Host:
    """One process: its own view of the services, of the routes, and of the clock."""

    def __init__(self, world: "World", name: str, routes: list[Route], *, newer: bool) -> None:
        self.world = world
        self.name = name
        self.newer = newer  # runs a later version of the code
        self.alive = True
        self.frozen_until = 0.0
        self.running: set[str] = set()  # names of the timers' functions
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = world.chance.uniform(0, 1e6)
        ports = {port: Port(self, port, getattr(world.services, port)) for port in PORTS}
        version = "2.0.0" if newer else world.services.version
        self.services = host(
            world.services, routes=routes, clock=self.clock, version=version, **ports
        )

    def clock(self) -> float:
        """Return seconds since whenever."""
        return self._started + self.world.loop.time()

    @property
    def usable(self) -> bool:
        return self.alive and self.frozen_until <= self.world.loop.time()

    def crash(self) -> None:
        """Nothing of this process runs any more; another one comes up."""
        if self.alive:
            self.alive = False
            self.world.note(self.name, "dies")
            self.world.replace(self)

    def freeze(self, seconds: float) -> None:
        """Stop for a while, and go on as if nothing had been."""
        self.frozen_until = self.world.loop.time() + seconds
        self.world.note(self.name, f"freezes for {seconds:.0f} s")

    async def pause(self, seconds: float) -> None:
        """Let time pass in this process; a dead one never goes on."""
        woken = self.world.loop.create_future()
        self.world.loop.call_later(seconds, self._wake, woken)
        await woken

    def _wake(self, woken: "asyncio.Future[None]") -> None:
        if not self.alive or woken.done():
            return
        if self.frozen_until > self.world.loop.time():
            self.world.loop.call_at(self.frozen_until, self._wake, woken)
        else:
            woken.set_result(None)

    def invoke(self, function: Coroutine[Any, Any, None], answered: Callable[[bool], None]) -> None:
        """Run a function; tell whether it succeeded, unless the host dies over it."""

        async def invocation() -> None:
            succeeded = True
            try:
                await function
            except Exception as failure:  # noqa: BLE001
                self.world.note(self.name, f"fails: {type(failure).__name__}: {failure}")
                succeeded = False
            if self.alive:
                answered(succeeded)

        task = self.world.loop.create_task(invocation())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.world.loop.call_later(FUNCTION_TIMEOUT, self._overrun, task)

    def _overrun(self, task: asyncio.Task[None]) -> None:
        if task.done() or not self.alive:
            return
        if self.frozen_until > self.world.loop.time():
            # Its watch stood still, too.
            self.world.loop.call_at(self.frozen_until + 60, self._overrun, task)
            return
        self.world.note(self.name, "function timeout")
        self.crash()


class Port(Through):
    """One of the services as a host reaches it: slowly, and not always."""

    def __init__(self, host: Host, name: str, model: object) -> None:
        super().__init__(model)
        self._host = host
        self._name = name
        self._service = "ledger" if name == "marks" else name  # the two are one storage account

    def __getattr__(self, method: str) -> Any:
        call = super().__getattr__(method)
        if method in _CACHED:
            call = self._mostly(getattr(self._port, method), call)
        self.__dict__[method] = call  # the models' methods stay what they are
        return call

    def _mostly(self, cached: Method, call: Method) -> Method:
        """Return a call that is answered from memory while its service is there."""
        away, name = self._host.world.faults.away, self._service

        def mostly(*args: Any) -> Any:
            return call(*args) if name in away else cached(*args)

        return mostly

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        host, world = self._host, self._host.world
        world.steps += 1
        if world.faults.over and host.usable:
            return await self._effect(method, effect, args)
        before, after = world.faults.of_call(_more_exactly(method, args))
        # docs/design.md: what freezes between the last renewal and its POST cannot be fenced.
        if "freeze" in (before, after) and _is_renewal(method, args):
            before = after = None
        if before:
            self._befall(before)
        if not host.usable and not (method == "submit" and host.alive):
            await host.pause(0)
        latency = world.faults.latency()
        if latency:  # what is under way arrives, whatever becomes of its host meanwhile
            await world.sleep(latency)
        if self._service in world.faults.away or before == "fail":
            return await self._fail(method, NotSent(message="away"))
        result = await self._effect(method, effect, args)
        return await self._answered(method, effect, args, result, after)

    async def _effect(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        host = self._host
        if self._name == "ledger" and host.newer:
            args = _as_a_newer_version(method, args)
        result = await effect(*args)
        host.world.note(host.name, method, args, result)
        return result

    async def _answered(
        self, method: str, effect: Method, args: tuple[Any, ...], result: Any, fate: str | None
    ) -> Any:
        """Bring an answer back, or not."""
        host, faults = self._host, self._host.world.faults
        if not faults.over:
            self._meddle(method, args, stops=fate in {"freeze", "stop"})
        if fate == "repeat":  # the answer was lost, and the client sends it once more
            await host.pause(faults.latency())
            result = await effect(*args)
        if fate == "lost":
            return await self._fail(method, Unclear(message="no answer"))
        if fate:
            self._befall(fate)
        latency = faults.latency()
        if latency or not host.usable:
            await host.pause(latency)
        return result

    def _meddle(self, method: str, args: tuple[Any, ...], *, stops: bool) -> None:
        """Let users change what was looked at, or claimed, before anything is made of it."""
        users, queue = self._host.world.users, self._host.world.queue
        opened = self._host.world.ledger.open
        if method in {"blob", "folder"} and self._name == "storage":
            users.meddle(args[1], often=stops)
        elif method == "page" and stops:
            users.drop_more()
        elif method == "claim":
            users.meddle(args[0].path, often=stops, back=False)
        elif method == "job" and stops and args[0] in opened:
            users.meddle(opened[args[0]][0].path, often=True)
        elif (method == "entry" and stops and args[0] in opened) or (
            method == "conclude" and b"superseded" in args[1] and args[0] in opened
        ):
            users.reconsider(opened[args[0]][0].path)
        if stops and (method != "claim" or args[0].route.gathers):
            queue.hurry()  # what is late comes now

    def _befall(self, fate: str | None) -> None:
        if fate == "crash":
            self._host.crash()
        if fate in {"freeze", "stop"}:
            self._host.freeze(self._host.world.faults.freeze(fate))
            if fate == "stop":
                self._host.world.overtake()

    async def _fail(self, method: str, answer: NotSent | Unclear) -> NotSent | Unclear | None:
        """Fail as this port does: a POST never raises, nor what is only asked to be sure."""
        await self._host.pause(self._host.world.faults.hang())
        if method == "submit":
            return answer
        if method == "deployment_problem":
            self._host.world.endpoints.not_told = True
            return None
        raise Unavailable(f"{self._name}.{method}: no answer")


def _more_exactly(method: str, args: tuple[Any, ...]) -> str:
    """Return what a call is named where other things befall it."""
    if method == "claim" and args[0].route.gathers:
        return "claim of a folder"
    if method == "conclude" and BY_OPERATOR.encode() in args[1]:
        return "conclude of a command"
    return method


def _is_renewal(method: str, args: tuple[Any, ...]) -> bool:
    return (
        method == "save"
        and args[0].progress.state is State.SUBMITTING
        and args[1].state is State.SUBMITTING
    )


def _as_a_newer_version(method: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let what is written have a field that this version does not know."""
    if method in {"claim", "save"}:
        progress = msgspec.structs.replace(args[1], rest={**args[1].rest, "later": "kept"})
        return args[0], progress
    if method == "conclude":
        event = msgspec.json.decode(args[1])
        event["data"]["later"] = "new"
        return args[0], msgspec.json.encode(event)
    return args
