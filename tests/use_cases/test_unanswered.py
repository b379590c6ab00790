"""Attempts without an answer, and batch jobs that their endpoint does not know: what ends them."""

from datetime import timedelta

import pytest

from scoring.errors import Unavailable
from scoring.jobs.batch_job import JobState, Unclear
from scoring.jobs.progress import State
from tests.factories import batch_job, route
from tests.fakes import World

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FILE = "landing/a.csv"


async def unanswered(**fields: object) -> World:
    """A job whose submission was not answered, at an endpoint that refuses its listing."""
    world = World(route(**fields))
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    assert world.progress.state is State.UNKNOWN

    async def refused(_: object) -> object:
        raise Unavailable("400: this listing is refused")

    world.endpoints.batch_jobs = refused  # type: ignore[assignment,method-assign]
    return world


def write_output(world: World) -> None:
    world.storage.put(world.endpoints.submissions[0].output_uri.partition("/paths/")[2])


async def test_where_no_listing_is_to_be_had_a_job_ends_after_a_day_without_another_attempt() -> (
    None
):
    world = await unanswered()
    await world.ticks(DAY - HOUR, every=10 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(2 * HOUR, every=10 * MINUTE)
    assert world.publisher.ends == [("failed", "outcome-unknown")]
    assert len(world.endpoints.submissions) == 1


async def test_hold_keeps_it_open() -> None:
    world = await unanswered(on_unknown="hold")
    await world.ticks(3 * DAY, every=30 * MINUTE)
    assert world.progress.state is State.UNKNOWN


@pytest.mark.parametrize("hold", ["resubmit", "hold"])
async def test_its_output_ends_it_as_completed_once_nobody_writes_it_any_more(hold: str) -> None:
    world = await unanswered(on_unknown=hold)
    await world.ticks(30 * MINUTE, every=MINUTE)
    write_output(world)
    await world.ticks(50 * MINUTE, every=MINUTE)
    assert world.publisher.ends == []
    await world.ticks(2 * HOUR, every=MINUTE)
    (event,) = world.publisher.events
    assert (event["data"]["status"], event["data"]["batchJob"]) == ("completed", None)
    assert event["data"]["output"]["verified"] is True


async def test_an_output_keeps_an_attempt_from_being_lost_though_the_listing_is_whole() -> None:
    world = World(route())
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    write_output(world)
    await world.ticks(2 * HOUR, every=MINUTE)
    assert world.publisher.ends == [("completed", None)]
    assert len(world.endpoints.submissions) == 1


# --- a batch job that its endpoint does not know ------------------------------------------------


async def gone() -> World:
    world = World(route())
    await world.land(FILE)
    del world.endpoints.jobs["batchjob-1"]
    return world


async def test_what_the_workspace_knows_is_not_gone() -> None:
    world = await gone()
    world.workspace.batch_jobs["batchjob-1"] = batch_job(JobState.RUNNING)
    await world.ticks(3 * HOUR, every=MINUTE)
    assert world.publisher.ends == []
    write_output(world)
    world.workspace.batch_jobs["batchjob-1"] = batch_job(JobState.COMPLETED)
    await world.ticks(2 * HOUR, every=MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_a_result_that_is_there_is_announced_although_nobody_knows_its_batch_job() -> None:
    world = await gone()
    write_output(world)
    await world.ticks(3 * HOUR, every=MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_what_neither_knows_and_left_nothing_is_gone() -> None:
    world = await gone()
    await world.ticks(3 * HOUR, every=MINUTE)
    assert world.publisher.ends == [("failed", "batch-job-gone")]


async def test_while_the_workspace_cannot_be_asked_nothing_is_gone() -> None:
    world = await gone()

    async def away(_: str) -> None:
        raise Unavailable("503")

    world.workspace.batch_job = away  # type: ignore[assignment,method-assign]
    await world.ticks(2 * DAY, every=10 * MINUTE)
    assert world.publisher.ends == []


# --- what the set-up can fix --------------------------------------------------------------------


async def test_a_deployment_that_cannot_run_is_waited_for_and_nothing_is_sent() -> None:
    world = World(route())
    world.workspace.problems["classifier/default"] = "deployment 'default' is Failed"
    await world.land(FILE)
    await world.ticks(2 * HOUR, every=MINUTE)
    assert (world.endpoints.submissions, world.publisher.ends) == ([], [])
    world.workspace.problems.clear()
    await world.ticks(HOUR, every=MINUTE)
    assert len(world.endpoints.submissions) == 1


async def test_an_endpoint_without_a_default_deployment_is_waited_for() -> None:
    world = World(route())
    world.workspace.default_deployment = None
    await world.land(FILE)
    assert world.endpoints.submissions == []
    world.workspace.default_deployment = "blue"
    await world.ticks(5 * MINUTE, every=MINUTE)
    assert [one.deployment for one in world.endpoints.submissions] == ["blue"]


async def test_a_route_that_names_its_deployment_needs_no_default() -> None:
    world = World(route(deployment="green"))
    world.workspace.default_deployment = None
    await world.land(FILE)
    assert [one.deployment for one in world.endpoints.submissions] == ["green"]
