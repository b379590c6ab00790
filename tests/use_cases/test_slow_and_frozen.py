"""Services that hang, hosts that freeze and go on: nothing is scored twice, nothing stands still."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Unavailable
from scoring.jobs.batch_job import Answer, ErrorAnswer, JobState, Unclear
from scoring.jobs.progress import State
from scoring.use_cases import ledger_writes, on_landing
from tests.factories import route
from tests.fakes import Stalled, World

FILE = "landing/heart/a.csv"
HEART = route(name="heart", match="landing/heart/**/*.csv")
MINUTE = timedelta(minutes=1)
LONG_ENOUGH_TO_BE_LOST = 21 * MINUTE


def instead(port: Any, method: str, call: Callable[..., Any]) -> None:
    """Let a port's method do something else."""
    setattr(port, method, call)


def tags(world: World) -> list[str]:
    return [submission.tag[-2:] for submission in world.endpoints.submissions]


@pytest.mark.parametrize(
    "stall",
    [
        lambda world: Stalled(world.ledger, "claim", after_effect=True),
        lambda world: Stalled(world.storage, "blob"),
        lambda world: Stalled(world.workspace, "endpoint"),
    ],
    ids=["claim", "look", "endpoint"],
)
async def test_who_froze_before_its_post_does_not_post_when_the_attempt_was_given_up(
    stall: Callable[[World], Stalled],
) -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    frozen = stall(world)
    host = asyncio.create_task(on_landing.land(world.services, landing))
    await frozen.reached.wait()
    await world.ticks(LONG_ENOUGH_TO_BE_LOST)
    assert tags(world) == ["-2"]
    frozen.go_on.set()
    await host
    assert tags(world) == ["-2"]


async def test_a_refusal_that_is_read_late_does_not_end_a_job_whose_next_attempt_runs() -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    world.endpoints.answers = [ErrorAnswer(status=400, message="no")]
    frozen = Stalled(world.endpoints, "submit", after_effect=True)
    host = asyncio.create_task(on_landing.land(world.services, landing))
    await frozen.reached.wait()
    await world.ticks(LONG_ENOUGH_TO_BE_LOST)
    frozen.go_on.set()
    await host
    assert world.publisher.ends == []
    world.complete("batchjob-1")
    await world.ticks(3 * MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_a_look_that_fails_before_the_post_uses_up_no_attempt_and_no_time() -> None:
    world = World(HEART)
    look = world.storage.blob

    async def away(*_: Any) -> Any:
        instead(world.storage, "blob", look)
        raise Unavailable("503")

    instead(world.storage, "blob", away)
    with pytest.raises(Unavailable):
        await world.land(FILE)
    assert world.progress.state is State.PENDING
    await world.tick(MINUTE)
    assert tags(world) == ["-1"]


async def test_a_storage_that_is_away_for_hours_ends_no_job() -> None:
    world = World(HEART)
    look = world.storage.blob

    async def away(*_: Any) -> Any:
        raise Unavailable("503")

    instead(world.storage, "blob", away)
    with pytest.raises(Unavailable):
        await world.land(FILE)
    await world.ticks(180 * MINUTE, every=MINUTE)
    assert world.publisher.ends == []
    instead(world.storage, "blob", look)
    await world.tick(MINUTE)
    assert tags(world) == ["-1"]


async def _cut_short(world: World) -> None:
    """Let poll have little time: a fifth of a second to begin jobs, as much to finish them."""
    timing = msgspec.structs.replace(
        world.services.timing,
        deadline=timedelta(seconds=0.2),
        cut=timedelta(seconds=0.4),
    )
    loop = asyncio.get_running_loop()
    world.services = msgspec.structs.replace(world.services, timing=timing, clock=loop.time)


async def test_a_step_that_never_ends_does_not_keep_the_other_jobs_from_being_polled() -> None:
    world = World(HEART)
    for number in range(20):
        await world.land(f"landing/heart/{number}.csv")
    _, in_the_middle = world.ledger.open[sorted(world.ledger.open)[10]]
    unknown = in_the_middle.progress.to(State.UNKNOWN, batch_job="")
    await ledger_writes.save(world.services, in_the_middle, unknown)

    async def endless(_: Any) -> Any:
        await asyncio.Event().wait()

    instead(world.endpoints, "batch_jobs", endless)
    await _cut_short(world)
    await world.tick()
    for name in world.endpoints.jobs:
        world.complete(name)
    for _ in range(3):
        await world.tick(MINUTE)
    assert len(world.publisher.published) == 19


async def test_a_post_that_is_under_way_when_polls_time_is_over_is_answered() -> None:
    world = World(msgspec.structs.replace(HEART, enabled=False))
    await world.land(FILE)
    world.services = msgspec.structs.replace(world.services, routes=[HEART])
    await _cut_short(world)
    submitting = world.endpoints.submit

    async def slow(*args: Any) -> Answer:
        answer = await submitting(*args)
        await asyncio.sleep(0.25)  # longer than poll begins jobs, shorter than it lets them end
        return answer

    instead(world.endpoints, "submit", slow)
    await world.tick()
    assert world.progress.state is State.SUBMITTED


async def test_those_that_wait_for_a_probe_do_not_go_on_when_poll_has_ended() -> None:
    world = World(msgspec.structs.replace(HEART, enabled=False))
    for number in range(40):
        await world.land(f"landing/heart/{number}.csv")
    world.services = msgspec.structs.replace(world.services, routes=[HEART])
    await _cut_short(world)

    async def endless(*_: Any) -> Any:
        await asyncio.Event().wait()

    instead(world.endpoints, "submit", endless)
    before = asyncio.all_tasks()
    await world.tick()
    assert asyncio.all_tasks() == before
    states = [entry.progress.state for _, entry in world.ledger.open.values()]
    assert states.count(State.PENDING) == 39, "one is the probe"


async def test_the_jobs_of_an_endpoint_that_was_deleted_come_to_an_end() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.endpoints.answers = [Unclear(message="?")]
    await world.land("landing/heart/b.csv")
    world.workspace.without.add("classifier")
    await world.ticks(70 * MINUTE)
    assert world.publisher.ends == [("failed", "batch-job-gone")]
    await world.ticks(26 * 60 * MINUTE, every=10 * MINUTE)
    assert world.publisher.ends[1:] == [("failed", "refused")]
    assert world.ledger.open == {}


async def test_of_several_batch_jobs_of_one_attempt_the_completed_one_is_kept() -> None:
    world = World(HEART)
    world.endpoints.answers = [lambda _: Unclear(message="?")]
    await world.land(FILE)
    (submission,) = world.endpoints.submissions
    endpoint = await world.workspace.endpoint("classifier")
    assert endpoint is not None
    await world.endpoints.submit(endpoint, submission)
    world.endpoints.turn("batchjob-1", JobState.FAILED, "output exists")
    world.complete("batchjob-2")
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("completed", None)]
    assert world.workspace.canceled == []


async def test_an_end_is_announced_although_its_lost_attempts_cannot_be_looked_for() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="?")]
    await world.land(FILE)
    await world.ticks(17 * MINUTE)
    world.complete("batchjob-1")

    async def odd(_: Any) -> Any:
        raise TypeError("a surprise")

    instead(world.endpoints, "batch_jobs", odd)
    await world.ticks(3 * MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_half_a_character_in_a_failure_message_does_not_keep_a_job_open() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED, "cut in the middle of \ud83d")
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("failed", "batch-job-failed")]


async def test_every_job_of_a_landing_is_done_although_another_fails() -> None:
    world = World(HEART, route(name="second"))
    claim = world.ledger.claim

    async def refuses_the_first(job: Any, progress: Any) -> Any:
        if job.route.name == "heart":
            raise Unavailable("503")
        await asyncio.sleep(0)
        return await claim(job, progress)

    instead(world.ledger, "claim", refuses_the_first)
    with pytest.raises(Unavailable):
        await world.land(FILE)
    assert len(world.endpoints.submissions) == 1


async def test_who_froze_while_claiming_does_not_end_a_job_in_the_future() -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE, size=0))
    frozen = Stalled(world.ledger, "claim")
    task = asyncio.create_task(on_landing.land(world.services, landing))
    await frozen.reached.wait()
    world.clock.pass_(90 * MINUTE)
    frozen.go_on.set()
    await task
    (event,) = world.publisher.events
    assert event["time"] == f"{world.clock.now:%Y-%m-%dT%H:%M:%SZ}"
