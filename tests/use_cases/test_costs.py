"""What a job costs in operations of the storages, as docs/design.md says."""

from collections import Counter
from datetime import timedelta

import pytest

from scoring.jobs.batch_job import JobState
from scoring.routes.route import Route
from tests.factories import folder_route, quiet_route, route
from tests.fakes import World

MINUTE = timedelta(minutes=1)
# Once in each tick or sweep, however many jobs there are.
OF_A_TICK = {"filling", "open_jobs", "poll_mark", "leave_poll_mark"}
OF_A_SWEEP = {"kept", "page", "open_jobs", "sweep_mark", "leave_sweep_mark"}
SHARED = OF_A_TICK | OF_A_SWEEP


async def land(world: World, of: Route) -> None:
    """Let a file land, or a folder of a thousand files."""
    if of.gathers:
        for number in range(1_000):
            await world.land(f"landing/b1/{number}.png")
    else:
        world.storage.put("landing/b1/1.png")
        await world.land("landing/b1.done")


async def finish(world: World) -> None:
    """Let time pass until no folder is filling and no job is open."""
    while world.ledger.open or world.folders.marks:
        await world.tick()
        for batch_job in world.endpoints.jobs:
            world.complete(batch_job)
    assert [end for end, _ in world.publisher.ends] == ["completed"]


def own(operations: Counter[str]) -> Counter[str]:
    """Return the operations that a job does not share with others."""
    return Counter({name: times for name, times in operations.items() if name not in SHARED})


@pytest.mark.parametrize(
    ("of", "cost"),
    [
        (route(), 9),
        (route(receipt=True), 9 + 1),
        (route(max_active=1), 9 + 3),
        (folder_route(), 9 + 2),
        (quiet_route(), 17),
        (quiet_route(minimum_gap=MINUTE), 17 + 2),
    ],
    ids=["a file", "with a receipt", "limited", "a folder", "a quiet folder", "with a gap"],
)
async def test_a_job_costs_what_the_design_says(of: Route, cost: int) -> None:
    world = World(of)
    operations = world.operations()
    await land(world, of)
    await finish(world)
    assert own(operations).total() == cost, own(operations)


async def test_a_batch_job_that_runs_for_more_than_a_minute_costs_one_operation_more() -> None:
    world = World(route())
    operations = world.operations()
    await land(world, route())
    world.endpoints.turn("batchjob-1", JobState.RUNNING)
    await world.ticks(10 * MINUTE)
    await finish(world)
    assert own(operations).total() == 9 + 1, own(operations)


async def test_a_limited_route_lists_once_more_for_all_that_a_tick_submits() -> None:
    world = World(route(max_active=20))
    for number in range(20):
        await world.land(f"landing/{number}.csv")
    operations = world.operations()
    await world.tick()
    assert (len(world.endpoints.submissions), operations["open_jobs"]) == (20, 3)


async def test_a_quiet_folder_is_looked_at_once_more_after_the_sweep_that_saw_its_files() -> None:
    world = World(quiet_route())
    await world.sweep()
    await land(world, quiet_route())
    await finish(world)
    operations = world.operations()
    await world.sweep()
    assert len(world.folders.marks) == 1
    await finish(world)
    await world.sweep()
    assert world.folders.marks == {}
    assert own(operations).total() == 5, own(operations)
