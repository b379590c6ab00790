"""Operators: they use the commands on jobs while the service goes on, and deploy other routes."""

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from scoring.cli.failures import Refused
from scoring.cli.landfall.ledger import operators
from scoring.cli.landfall.ledger.replay import Replay
from scoring.jobs.job import attempt_tag
from scoring.jobs.progress import State
from scoring.ports import Services
from tests.simulation.faults import MINUTE

if TYPE_CHECKING:
    from tests.simulation.world import World

_PATIENCE = 3 * MINUTE  # before somebody settles by hand what poll may find


class Operators:
    """Whoever looks after the jobs of a run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance

    def come(self) -> None:
        """Use the commands now and then."""
        for _ in range(self._chance.choice((0, 4, 10))):
            moment = self._chance.uniform(60, 3 * self._world.busy)
            self._world.loop.call_later(moment, self._do_something)

    def deploy_routes(self) -> None:
        """Deploy other routes: hosts get them one after the other."""
        world, chance = self._world, self._chance
        if not world.routes:
            return
        number = chance.randrange(len(world.routes))
        route, what = world.routes[number], chance.random()
        if what < 0.15:
            world.faults.counts["routes: removed"] += 1
            world.note("operator", f"removes {route.name}")
            del world.routes[number]
        else:
            limits = (None,) if route.limit is None else (1, 2)
            changed = msgspec.structs.replace(
                route,
                enabled=chance.random() < 0.5,
                max_active=chance.choice(limits) or "unlimited",
            )
            world.faults.counts["routes: changed"] += 1
            world.note("operator", f"{route.name}: {changed.enabled} {changed.max_active}")
            world.routes[number] = changed
        for host in list(world.hosts):
            world.loop.call_later(chance.uniform(0, 120), host.crash)

    def _do_something(self) -> None:
        steps = (self._cancel,) * 3 + (self._settle,) * 4 + (self._release,)
        what = self._chance.choice(steps)
        host = self._world.any_host()
        if host is None:
            return
        if self._chance.random() < 0.4:
            step: Coroutine[Any, Any, None] | None = self._replay(host.services)
        else:
            step = what(host.services)
        if step is not None:
            host.invoke(_to_its_end(step), lambda _: None)

    def _done(self, what: str) -> None:
        self._world.faults.counts[f"command: {what}"] += 1

    def _cancel(self, services: Services) -> Coroutine[Any, Any, None] | None:
        opened = self._world.ledger.open
        waiting = [
            (entry.progress.landed or self._world.clock.now, key)
            for key, (_, entry) in opened.items()
            if entry.progress.state is State.PENDING
        ]
        if waiting and self._chance.random() < 0.8:
            _, key = min(waiting)  # whose turn is next: poll may be about to submit it
            return self._cancel_one(services, key)
        return self._cancel_one(services, self._chance.choice(sorted(opened))) if opened else None

    async def _cancel_one(self, services: Services, key: str) -> None:
        await operators.cancel(services, key, dry_run=False)
        self._done("cancel")
        self._world.promises.canceled(key)

    def _settle(self, services: Services) -> Coroutine[Any, Any, None] | None:
        """Settle what is unknown, as somebody does who knows the truth."""
        world = self._world
        for key, (_, opened) in sorted(world.ledger.open.items()):
            waited = (world.clock.now - opened.changed).total_seconds()
            if opened.progress.state is not State.UNKNOWN or waited < _PATIENCE:
                continue
            tag = attempt_tag(key, opened.progress.attempt)
            records = world.endpoints.records.items()
            mine = [name for name, record in records if record.submission.tag == tag]
            if mine:
                return self._adopt(services, key, mine[0])
            if all(host.usable for host in world.hosts):
                return self._declare_lost(services, key)
        return None

    async def _adopt(self, services: Services, key: str, batch_job: str) -> None:
        await operators.adopt(services, key, batch_job, dry_run=False)
        self._done("adopt")

    async def _declare_lost(self, services: Services, key: str) -> None:
        await operators.declare_lost(services, key, dry_run=False)
        self._done("declare lost")

    def _release(self, services: Services) -> Coroutine[Any, Any, None] | None:
        kept = sorted(digest for _, digest in self._kept())
        return self._release_one(services, self._chance.choice(kept)) if kept else None

    def _kept(self) -> list[tuple[str, str]]:
        names = (name.split("/") for name in self._world.messages.messages)
        return [(shelf, digest) for shelf, digest in names]

    async def _release_one(self, services: Services, digest: str) -> None:
        await operators.release(services, digest, dry_run=False)
        self._done("release")

    async def _replay(self, services: Services) -> None:
        if not services.routes:
            return
        route = self._chance.choice(services.routes)
        request = self._chance.choice((None, "first", "second"))
        replay = Replay(services, request=request, dry_run=False)
        async for one in replay.below(route, "landing/", None, None):
            if one.what in ("claimed", "again"):
                self._done(f"replay: {one.what}")
                self._world.promises.replayed(one)


async def _to_its_end(step: Coroutine[Any, Any, None]) -> None:
    try:
        await step
    except Refused:
        return  # nothing has changed
