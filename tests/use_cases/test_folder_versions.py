"""A quiet folder that changes while its job waits: each content is scored once, none is lost."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from scoring.jobs.batch_job import JobState
from scoring.jobs.progress import OpenJob, State
from scoring.routes.route import Route
from scoring.use_cases import submit
from tests.factories import quiet_route
from tests.fakes import Stalled, World

MINUTE = timedelta(minutes=1)
LIMITED = quiet_route(max_active=1)


def disabled(world: World, *, enabled: bool) -> None:
    routes = [msgspec.structs.replace(one, enabled=enabled) for one in world.services.routes]
    world.services = msgspec.structs.replace(world.services, routes=routes)


async def waiting(of: Route) -> World:
    """A folder whose first version waits because its route is disabled."""
    world = World(msgspec.structs.replace(of, enabled=False))
    await world.land("landing/b1/1.png")
    await world.ticks(7 * MINUTE, every=MINUTE)
    assert world.progress.state is State.PENDING
    return world


def digests(world: World) -> list[str]:
    """Return the contents that were scored."""
    return [
        event["data"]["input"]["etag"]
        for event in world.publisher.events
        if event["data"]["status"] == "completed"
    ]


async def finish(world: World, minutes: int = 30) -> None:
    for _ in range(minutes):
        await world.tick(MINUTE)
        for name, submitted in world.endpoints.jobs.items():
            if submitted.state is not JobState.COMPLETED:
                world.complete(name)


@pytest.mark.parametrize("of", [LIMITED, quiet_route(minimum_gap=10 * MINUTE)])
async def test_what_is_submitted_is_scored_under_the_key_of_what_lies_there(of: Route) -> None:
    """The second file lands while the first version waits; it becomes quiet after the submission."""
    world = await waiting(of)
    await world.land("landing/b1/2.png")
    disabled(world, enabled=True)
    await world.tick(MINUTE)
    await finish(world)
    assert len(world.endpoints.submissions) == 1
    assert sorted(world.publisher.ends) == [("completed", None), ("superseded", "overwritten")]
    (content,) = digests(world)
    (completed,) = [one for one in world.publisher.events if one["data"]["status"] == "completed"]
    assert (content, completed["data"]["input"]["files"]) != ("", 1)


async def test_a_trickle_does_not_starve_the_folder() -> None:
    world = await waiting(LIMITED)
    for number in range(2, 20):
        await world.land(f"landing/b1/{number}.png")
        await world.tick(MINUTE)
    disabled(world, enabled=True)
    await world.tick(MINUTE)
    assert len(world.endpoints.submissions) == 1


async def test_files_whose_job_was_superseded_get_another_when_they_lie_there_again() -> None:
    """The second file comes and goes: the first job was given up for the one of both files."""
    world = await waiting(LIMITED)
    await world.land("landing/b1/2.png")
    await world.ticks(7 * MINUTE, every=MINUTE)  # both versions wait
    (first, _), (second, _) = sorted(
        world.ledger.open.values(), key=lambda one: one[0].landing.landed
    )
    disabled(world, enabled=True)
    # The first yields to the second, which then finds the first's content.
    look = world.storage.folder
    listings = iter([True])

    async def folder(place: object, path: str) -> object:
        files = await look(place, path)  # type: ignore[arg-type]
        if next(listings, False):
            world.storage.blobs.pop("landing/b1/2.png")
        return files

    world.storage.folder = folder  # type: ignore[assignment,method-assign]
    await world.tick(MINUTE)
    await finish(world)
    assert digests(world) == [first.landing.etag]
    assert sorted(world.publisher.ends) == [
        ("completed", None),
        ("superseded", "overwritten"),
        ("superseded", "overwritten"),
    ]
    assert {first.key, second.key} < {event["id"] for event in world.publisher.events}


async def test_an_earlier_version_that_waits_goes_first_when_the_folder_is_as_it_was() -> None:
    world = await waiting(LIMITED)
    await world.land("landing/b1/2.png")
    await world.ticks(7 * MINUTE, every=MINUTE)
    assert len(world.ledger.open) == 2
    world.storage.blobs.pop("landing/b1/2.png")
    disabled(world, enabled=True)
    await finish(world, minutes=60)
    assert len(world.endpoints.submissions) == 1
    assert len(digests(world)) == 1
    assert world.ledger.open == {}


async def test_of_two_jobs_that_wait_only_one_yields_while_files_come_and_go() -> None:
    """One host has just seen the later files, and stands still; another sees the earlier ones."""
    world = await waiting(LIMITED)
    await world.land("landing/b1/2.png")
    await world.ticks(7 * MINUTE, every=MINUTE)
    first, second = sorted(world.ledger.open.values(), key=lambda one: one[0].landing.landed)
    standing = Stalled(world.ledger, "entry", after_effect=True)
    earlier = asyncio.create_task(resume(world, first[1]))
    await standing.reached.wait()
    world.storage.blobs.pop("landing/b1/2.png")
    await resume(world, second[1])
    standing.go_on.set()
    await earlier
    disabled(world, enabled=True)
    await finish(world)
    assert digests(world) == [first[0].landing.etag]


async def resume(world: World, entry: OpenJob) -> None:
    async def has_room(_: OpenJob) -> bool:
        return True

    await submit.resume(world.services, entry, has_room, world.clock.now)
