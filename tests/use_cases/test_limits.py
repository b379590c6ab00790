"""A route has no more batch jobs at once than `max_active` says, whatever polls at once or dies."""

import asyncio
import contextlib
import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Unavailable
from scoring.jobs.batch_job import BatchEndpoint, ErrorAnswer, JobState, Submission, Unclear
from scoring.jobs.blobs import Blob
from scoring.jobs.progress import OpenJob, State
from scoring.ports import Services
from scoring.routes.route import Route
from scoring.use_cases import ledger_writes, on_landing, poll
from scoring.use_cases.admission import Admission
from tests.factories import folder_route, route
from tests.fakes import PLACE, FakeEndpoints, Method, Stalled, Through, World, host

THREE = route(name="heart", match="landing/heart/**", max_active=3)
MINUTE = timedelta(minutes=1)


class Counting(FakeEndpoints):
    """Remembers how many batch jobs an endpoint had at most at the same time."""

    most = 0

    async def submit(self, endpoint: BatchEndpoint, submission: Submission) -> Any:
        answer = await super().submit(endpoint, submission)
        self.most = max(self.most, len(self.running))
        return answer

    @property
    def running(self) -> list[str]:
        return [name for name, job in self.jobs.items() if job.state is JobState.OPEN]


def world_of(*routes: Route) -> tuple[World, Counting]:
    world, endpoints = World(*routes), Counting()
    world.endpoints = endpoints
    world.workspace._endpoints = endpoints
    world.services = msgspec.structs.replace(world.services, endpoints=endpoints)
    return world, endpoints


class Interleaved(Through):
    """A port whose calls take a while each, so that whoever else runs comes in between."""

    def __init__(self, port: object, chance: random.Random, dies: float = 0.0) -> None:
        super().__init__(port)
        self._chance = chance
        self._dies = dies  # the probability that the host is dead after a call

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        await self._turns()
        result = await effect(*args)
        if self._chance.random() < self._dies:
            await asyncio.Event().wait()
        await self._turns()
        return result

    async def _turns(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)


def slow_host(world: World, chance: random.Random, dies: float = 0.0) -> Services:
    ports = ("ledger", "marks", "storage", "workspace", "endpoints", "publisher")
    slow = {name: Interleaved(getattr(world.services, name), chance, dies) for name in ports}
    return host(world.services, **slow)


async def tick(world: World, *hosts: Services, cut: int = 400) -> None:
    """Let all of these poll at once; who is dead is buried after so many turns of the loop."""
    world.clock.pass_(timedelta(seconds=15))
    polls = [asyncio.create_task(poll.poll(one)) for one in hosts]
    for _ in range(cut):
        await asyncio.sleep(0)
    for one in polls:
        one.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*polls)


async def late_event(world: World, blob: Blob, chance: random.Random) -> None:
    """Let an event come in the midst of a tick: the older its landing, the sooner its turn."""
    for _ in range(chance.randrange(150)):
        await asyncio.sleep(0)
    age = timedelta(seconds=chance.randrange(3_600))
    await on_landing.land(world.services, blob.landing(PLACE, blob.modified - age))


@pytest.mark.parametrize("seed", range(12))
async def test_two_hundred_files_two_hosts_and_deaths_never_exceed_the_limit(seed: int) -> None:
    chance = random.Random(seed)
    world, endpoints = world_of(THREE)
    hosts = [slow_host(world, chance), slow_host(world, chance, dies=0.004)]
    files = [world.storage.put(f"landing/heart/{number}.csv") for number in range(200)]
    while (files or world.ledger.open) and world.clock.seconds() < 4 * 86_400:
        coming = [files.pop() for _ in range(min(len(files), chance.randrange(12)))]
        await asyncio.gather(
            tick(world, *hosts), *(late_event(world, blob, chance) for blob in coming)
        )
        for running in endpoints.running:
            if chance.random() < 0.5:
                world.complete(running)
    assert endpoints.most == 3
    assert {end for end, _ in world.publisher.ends} == {"completed"}
    assert len({event["id"] for event in world.publisher.events}) == 200


async def test_the_oldest_landings_go_first_also_after_they_had_to_step_back() -> None:
    world, endpoints = world_of(THREE)
    for number in (5, 1, 4, 2, 3):
        await world.land(f"landing/heart/{number}.csv")
        world.clock.pass_(MINUTE)
    endpoints.answers = [ErrorAnswer(status=429, message="too many", retry_after=20)]
    await world.tick()
    await world.tick(2 * MINUTE)
    refused, *taken = [job.input_uri[-5] for job in endpoints.submissions]
    assert sorted(taken) == ["1", "4", "5"]
    assert refused in taken


async def mark(world: World, opened: OpenJob) -> OpenJob:
    marked = await ledger_writes.save(world.services, opened, opened.progress.to(State.SUBMITTING))
    assert marked is not None
    return marked


async def test_each_look_at_the_limit_is_a_listing_that_began_after_the_mark() -> None:
    """Also when another one is under way: it began too early."""
    world, _ = world_of(msgspec.structs.replace(THREE, max_active=1))
    await world.land("landing/heart/1.csv")
    listed = await world.ledger.open_jobs()
    admission = Admission(world.services, listed)
    slow = Stalled(world.ledger, "open_jobs", after_effect=True)
    first = asyncio.create_task(admission.has_room(listed.jobs[0]))
    await slow.reached.wait()
    mine = await mark(world, listed.jobs[0])
    await world.land("landing/heart/2.csv")
    other = next(job for job in (await world.ledger.open_jobs()).jobs if job.key != mine.key)
    await mark(world, other)
    second = asyncio.create_task(admission.has_room(other))
    slow.go_on.set()
    assert (await first, await second) == (True, False)


async def test_an_attempt_that_nobody_knows_of_counts() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1))
    endpoints.answers = [Unclear(message="lost")]
    await world.land("landing/heart/1.csv")
    await world.land("landing/heart/2.csv")
    await world.ticks(14 * MINUTE)
    assert len(endpoints.submissions) == 1
    assert sorted(opened.progress.state for _, opened in world.ledger.open.values()) == [
        State.PENDING,
        State.UNKNOWN,
    ]


async def test_a_job_that_has_ended_frees_its_place_though_its_event_is_not_out() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1))
    world.publisher.refuses = True
    for number in range(3):
        await world.land(f"landing/heart/{number}.csv")
    for _ in range(3):
        await world.tick()
        world.complete(endpoints.running[0])
        await world.ticks(MINUTE)
    assert len(endpoints.submissions) == 3
    assert {entry.progress.state for _, entry in world.ledger.open.values()} == {State.ENDED}


async def test_another_attempt_of_a_failed_batch_job_takes_its_place_in_the_queue() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1, max_attempts=2))
    for number in range(2):
        await world.land(f"landing/heart/{number}.csv")
    await world.tick()
    endpoints.turn("batchjob-1", JobState.FAILED)
    await world.ticks(MINUTE)
    assert [job.tag[-2:] for job in endpoints.submissions] == ["-1", "-2"]
    assert endpoints.most == 1


async def test_each_route_has_its_own_limit() -> None:
    world, endpoints = world_of(THREE, folder_route(max_active=1))
    for number in range(4):
        await world.land(f"landing/heart/{number}.csv")
        world.storage.put(f"landing/b{number}/1.png")
        await world.land(f"landing/b{number}.done")
    await world.tick()
    assert sorted(job.kind for job in endpoints.submissions) == ["file", "file", "file", "folder"]


@pytest.mark.parametrize(("limit", "running"), [(1, 3), (5, 5), ("unlimited", 8)])
async def test_a_limit_that_was_changed_counts_at_once(limit: Any, running: int) -> None:
    world, endpoints = world_of(THREE)
    for number in range(8):
        await world.land(f"landing/heart/{number}.csv")
    await world.tick()
    world.services = msgspec.structs.replace(
        world.services, routes=[msgspec.structs.replace(THREE, max_active=limit)]
    )
    await world.tick()
    assert len(endpoints.running) == running


async def test_jobs_of_a_route_that_is_gone_go_on_within_its_limit() -> None:
    world, endpoints = world_of(THREE)
    for number in range(10):
        await world.land(f"landing/heart/{number}.csv")
    world.services = msgspec.structs.replace(world.services, routes=[])
    while world.ledger.open:
        await world.tick()
        for running in endpoints.running:
            world.complete(running)
    assert endpoints.most == 3
    assert len(world.publisher.ends) == 10


async def test_what_lands_meanwhile_waits_its_turn_and_is_not_looked_at() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1))
    await world.land("landing/heart/1.csv")
    await world.tick()
    operations = world.operations()
    await world.land("landing/heart/2.csv")
    await world.tick()
    assert (operations["blob"], len(endpoints.submissions)) == (0, 1)
    assert {entry.progress.state for _, entry in world.ledger.open.values()} == {
        State.SUBMITTED,
        State.PENDING,
    }


async def test_an_overwritten_file_waits_like_any_other() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1))
    await world.land("landing/heart/1.csv")
    landing = world.landing(world.storage.put("landing/heart/1.csv"))
    await world.tick()
    assert endpoints.submissions == []
    await on_landing.land(world.services, landing)
    await world.tick()
    assert len(endpoints.submissions) == 1
    assert world.publisher.ends == [("superseded", "overwritten")]


async def test_a_file_that_nobody_can_look_at_does_not_keep_the_others_from_their_turn() -> None:
    world, endpoints = world_of(msgspec.structs.replace(THREE, max_active=1))
    for name in ("a", "b"):
        await world.land(f"landing/heart/{name}.csv")
        world.clock.pass_(MINUTE)
    look = world.storage.blob

    async def odd(place: Any, path: str) -> Any:
        if path.endswith("a.csv"):
            raise Unavailable("400: there is something about this blob")
        return await look(place, path)

    world.storage.blob = odd  # type: ignore[method-assign]
    await world.ticks(5 * MINUTE)
    assert [job.input_uri[-5] for job in endpoints.submissions] == ["b"]
