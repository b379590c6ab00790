"""A listing of open/ that takes too long is cut: what poll does all the same, and what it does not."""

from datetime import timedelta

import msgspec

from scoring.use_cases import poll
from tests.factories import route
from tests.fakes import World

MINUTE = timedelta(minutes=1)


async def claimed(world: World, number: int) -> None:
    for one in range(number):
        world.storage.put(f"landing/{one}.csv")
    await world.sweep()
    await world.sweep()
    assert len(world.ledger.open) == number


async def test_each_tick_goes_on_where_the_listing_before_was_cut() -> None:
    world = World(route())
    await claimed(world, 10)
    world.ledger.lists = 3
    submitted = []
    for _ in range(4):
        await world.tick()
        submitted.append(len(world.endpoints.submissions))
    assert submitted == [3, 6, 9, 10]
    assert world.marks.poll.cursor == ""


async def test_a_pass_is_finished_only_when_all_jobs_were_listed() -> None:
    """Questions are due by the time since the last pass: a job that was not seen must not miss one."""
    world = World(route())
    await claimed(world, 4)
    await world.tick()
    finished = world.marks.poll.finished
    world.ledger.lists = 2
    await world.tick()
    assert (world.marks.poll.finished, world.marks.poll.heartbeat) == (finished, world.clock.now)
    await world.tick()
    assert world.marks.poll.finished != finished


async def test_a_limited_route_is_not_submitted_without_a_whole_listing_and_others_end() -> None:
    world = World(route(max_active=1))
    await world.land("landing/first.csv")
    await world.tick()
    world.complete("batchjob-1")
    await world.land("landing/second.csv")
    world.ledger.lists = 5
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("completed", None)]
    await world.ticks(5 * MINUTE)
    assert len(world.endpoints.submissions) == 1
    world.ledger.lists = None
    await world.tick()
    assert len(world.endpoints.submissions) == 2


async def test_a_second_listing_that_is_cut_gives_no_place() -> None:
    world = World(route(max_active=1))
    await world.land("landing/a.csv")
    ledger = world.ledger
    whole = ledger.open_jobs

    async def then_cut(**options: object) -> object:
        listing = await whole(**options)  # type: ignore[arg-type]
        ledger.lists = 0
        return listing

    ledger.open_jobs = then_cut  # type: ignore[assignment,method-assign]
    await world.tick()
    assert world.endpoints.submissions == []


async def test_at_least_one_round_of_jobs_is_done_whatever_the_listing_took() -> None:
    world = World(route())
    await claimed(world, 40)
    timing = msgspec.structs.replace(world.services.timing, deadline=timedelta(0))
    world.services = msgspec.structs.replace(world.services, timing=timing)
    await world.tick()
    assert len(world.endpoints.submissions) == poll.JOBS_AT_ONCE
    await world.tick()
    assert len(world.endpoints.submissions) == 40
