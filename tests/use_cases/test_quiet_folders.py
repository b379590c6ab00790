"""Folders that get a job once nothing has landed in them for a while."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Unavailable
from scoring.jobs.batch_job import JobState, NotSent
from scoring.jobs.progress import State
from scoring.routes.route import Ready, Route
from scoring.use_cases import on_landing, poll
from tests.factories import folder_route, quiet_route
from tests.factories import route as file_route
from tests.fakes import Stalled, World, host

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
QUIET = 5 * MINUTE
ONCE = quiet_route(late="ignore")


def path(number: int, batch: str = "b1") -> str:
    return f"landing/{batch}/{number:05}.png"


class QuietWorld(World):
    """Remembers the numbers of the files that lay in a folder at each of its submissions."""

    def __init__(self, *routes: Route) -> None:
        super().__init__(*routes or (quiet_route(),))
        self.submitted: list[list[str]] = []
        submit = self.endpoints.submit

        async def watched(endpoint: Any, submission: Any) -> Any:
            inside = submission.input_uri.partition("/paths/")[2] + "/"
            names = (name for name in self.storage.blobs if name.startswith(inside))
            self.submitted.append(sorted(name[-9:-4] for name in names))
            return await submit(endpoint, submission)

        self.endpoints.submit = watched  # type: ignore[method-assign]

    def complete_all(self) -> None:
        for name, job in list(self.endpoints.jobs.items()):
            if job.state.name == "OPEN":
                self.complete(name)

    async def finish(self) -> None:
        """Let time pass until no folder is filling and no job is open."""
        for _ in range(600):
            if not self.ledger.open and not self.folders.marks:
                return
            await self.tick(MINUTE)
            self.complete_all()
        pytest.fail("it does not come to an end")


async def test_a_folder_is_scored_once_nothing_has_landed_in_it_for_a_while() -> None:
    world = QuietWorld()
    for number in range(3):
        await world.land(path(number))
        await world.ticks(4 * MINUTE)
    assert world.endpoints.submissions == []
    await world.ticks(2 * MINUTE)
    (submission,) = world.endpoints.submissions
    assert submission.input_uri.endswith("/landing/b1")
    await world.finish()
    assert world.submitted == [["00000", "00001", "00002"]]
    (event,) = world.publisher.events
    assert event["subject"].endswith("/landing/b1/")
    assert (event["data"]["input"]["files"], event["data"]["input"]["overwritten"]) == (3, False)
    assert event["data"]["times"]["landed"] == "2026-11-24T12:08:00Z"


async def test_a_file_whose_event_is_late_is_waited_for_too() -> None:
    """The listing shows that the folder is not quiet."""
    world = QuietWorld()
    await world.land(path(1))
    await world.ticks(4 * MINUTE)
    world.storage.put(path(2))
    await world.ticks(4 * MINUTE)
    assert world.endpoints.submissions == []
    await world.ticks(2 * MINUTE)
    assert world.submitted == [["00001", "00002"]]


async def test_a_duplicate_event_hours_later_changes_nothing() -> None:
    world = QuietWorld()
    landing = await world.land(path(1))
    await world.finish()
    world.clock.pass_(timedelta(hours=5))
    await on_landing.land(world.services, landing)
    await world.finish()
    assert len(world.endpoints.submissions) == len(world.publisher.events) == 1


async def test_a_late_file_makes_a_job_over_the_whole_folder() -> None:
    world = QuietWorld()
    await world.land(path(1))
    await world.finish()
    await world.land(path(2))
    await world.finish()
    assert world.submitted == [["00001"], ["00001", "00002"]]
    assert [end for end, _ in world.publisher.ends] == ["completed", "completed"]


async def test_a_late_file_is_rejected_where_its_route_says_so() -> None:
    world = QuietWorld(ONCE)
    landing = await world.land(path(1))
    await world.finish()
    await world.land(path(2))
    await world.finish()
    await on_landing.land(world.services, landing)
    await world.finish()
    assert world.submitted == [["00001"]]
    assert world.publisher.ends == [("completed", None), ("rejected", "late")]


async def test_a_file_that_comes_while_the_folder_is_scored_is_late_at_its_end() -> None:
    world = QuietWorld(ONCE)
    await world.land(path(1))
    await world.ticks(7 * MINUTE)
    await world.land(path(2))
    listings = world.storage.folder_listings
    await world.ticks(20 * MINUTE)
    assert world.publisher.ends == []
    assert world.storage.folder_listings - listings <= 4
    await world.finish()
    assert world.publisher.ends == [("completed", None), ("rejected", "late")]


async def test_a_file_that_came_before_the_submission_is_none_that_is_late() -> None:
    world = QuietWorld(msgspec.structs.replace(ONCE, enabled=False))
    await world.land(path(1))
    await world.ticks(7 * MINUTE)
    await world.land(path(2))
    await world.ticks(7 * MINUTE)
    world.services = msgspec.structs.replace(world.services, routes=[ONCE])
    await world.finish()
    assert world.submitted == [["00001", "00002"]]
    assert world.publisher.ends == [("completed", None)]


async def test_a_version_that_waits_is_left_to_the_next_one() -> None:
    world = QuietWorld(quiet_route(enabled=False))
    await world.land(path(1))
    await world.ticks(7 * MINUTE)
    await world.land(path(2))
    await world.ticks(7 * MINUTE)
    world.services = msgspec.structs.replace(world.services, routes=[quiet_route()])
    await world.finish()
    assert world.submitted == [["00001", "00002"]]
    assert sorted(end for end, _ in world.publisher.ends) == ["completed", "superseded"]


async def test_at_most_ends_a_trickle_and_what_comes_after_it_is_scored_too() -> None:
    world = QuietWorld()
    number = 0
    while world.clock.seconds() < 150 * 60:
        await world.land(path(number))
        await world.ticks(MINUTE)
        world.complete_all()
        number += 1
    assert 2 <= len(world.endpoints.submissions) <= 3
    await world.finish()
    assert len(world.submitted[-1]) == number


async def test_a_folder_that_is_emptied_before_its_turn_is_rejected() -> None:
    world = QuietWorld()
    await world.land(path(1))
    world.storage.blobs.clear()
    await world.finish()
    assert world.publisher.ends == [("rejected", "folder-empty")]


async def test_each_folder_and_each_route_is_on_its_own() -> None:
    world = QuietWorld(quiet_route(), quiet_route(name="again", endpoint="other"))
    for batch in ("b1", "b2"):
        await world.land(path(1, batch))
    await world.finish()
    assert len(world.endpoints.submissions) == len({e["id"] for e in world.publisher.events}) == 4


async def test_ten_thousand_files_at_once_touch_the_mark_rarely() -> None:
    world = QuietWorld()
    blobs = [world.storage.put(path(number)) for number in range(10_000)]
    await asyncio.gather(*(on_landing.land(world.services, world.landing(blob)) for blob in blobs))
    assert world.folders.touches == 1
    await world.finish()
    assert [len(files) for files in world.submitted] == [10_000]


async def test_a_touch_that_fails_fails_for_all_that_relied_on_it() -> None:
    world = QuietWorld()
    whole = world.folders.touch

    async def away(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise Unavailable("the ledger is away")

    world.folders.touch = away  # type: ignore[assignment,method-assign]
    blobs = [world.storage.put(path(number)) for number in range(3)]
    ends = await asyncio.gather(
        *(on_landing.land(world.services, world.landing(blob)) for blob in blobs),
        return_exceptions=True,
    )
    assert [type(end) for end in ends] == [Unavailable] * 3
    world.folders.touch = whole  # type: ignore[method-assign]
    await on_landing.land(world.services, world.landing(blobs[0]))
    assert world.folders.touches == 1


async def test_a_slow_trickle_costs_an_operation_for_each_file() -> None:
    world = QuietWorld()
    for number in range(4):
        await world.land(path(number))
        world.clock.pass_(QUIET / 10)
    assert world.folders.touches == 4


# --- whatever comes in between ------------------------------------------------------------------


def arriving(world: QuietWorld, port: Any, method: str, *, after: bool) -> None:
    """Let a file land, and its event arrive, before or after the next call of a method."""
    whole = getattr(port, method)

    async def call(*args: Any, **kwargs: Any) -> Any:
        setattr(port, method, whole)
        if not after:
            await world.land(path(2))
        result = await whole(*args, **kwargs)
        if after:
            await world.land(path(2))
        return result

    setattr(port, method, call)


@pytest.mark.parametrize("route", [quiet_route(), ONCE], ids=["score", "ignore"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "step",
    [
        lambda world: (world.folders, "filling"),
        lambda world: (world.folders, "folder"),
        lambda world: (world.storage, "folder"),
        lambda world: (world.ledger, "claim"),
        lambda world: (world.ledger, "end"),
        lambda world: (world.folders, "drop_mark"),
    ],
    ids=["list marks", "read mark", "list folder", "claim", "look in done", "delete mark"],
)
async def test_a_file_that_arrives_at_any_step_is_scored_or_rejected(
    step: Callable[[World], tuple[Any, str]], *, after: bool, route: Route
) -> None:
    world = QuietWorld(route)
    await world.land(path(1))
    world.clock.pass_(QUIET)
    arriving(world, *step(world), after=after)
    await world.finish()
    held = world.submitted[-1] == ["00001", "00002"]
    assert held or world.publisher.ends == [("completed", None), ("rejected", "late")]
    if route is ONCE:
        assert len(world.endpoints.submissions) == 1


@pytest.mark.parametrize("route", [quiet_route(), ONCE], ids=["score", "ignore"])
async def test_at_most_and_a_file_whose_touch_was_skipped(route: Route) -> None:
    """It landed after the listing, and its event touched nothing: the mark must stay."""
    world = QuietWorld(route)
    await world.land(path(0))
    for _ in range(59):
        world.clock.pass_(MINUTE)
        await world.land(path(0))
    world.clock.pass_(50 * SECOND)
    await world.land(path(0))
    touches = world.folders.touches
    await world.tick(10 * SECOND)
    await world.tick()
    assert world.submitted == [["00000"]]
    await world.land(path(2))
    assert world.folders.touches == touches
    await world.finish()
    held = world.submitted[-1] == ["00000", "00002"]
    assert held or ("rejected", "late") in world.publisher.ends


@pytest.mark.parametrize("route", [quiet_route(), ONCE], ids=["score", "ignore"])
async def test_a_poll_that_froze_does_not_delete_a_mark_that_was_touched(route: Route) -> None:
    world = QuietWorld(route)
    await world.land(path(1))
    world.clock.pass_(QUIET)
    frozen = Stalled(world.ledger, "end", after_effect=True)
    host = asyncio.create_task(poll.poll(world.services))
    await frozen.reached.wait()
    await world.tick(30 * SECOND)
    assert world.submitted == [["00001"]]
    await world.land(path(2))
    frozen.go_on.set()
    await host
    await world.finish()
    held = world.submitted[-1] == ["00001", "00002"]
    assert held or ("rejected", "late") in world.publisher.ends


# --- the gap between submissions ----------------------------------------------------------------


GAP = timedelta(hours=2)


@pytest.mark.parametrize("route", [quiet_route(minimum_gap=GAP), folder_route(minimum_gap=GAP)])
async def test_a_folder_is_submitted_again_only_after_the_gap(route: Route) -> None:
    world = QuietWorld(route)
    times: list[timedelta] = []
    while world.clock.seconds() < 5 * 3600:
        await world.land(path(len(world.storage.blobs)))
        await world.land("landing/b1.done")
        before = len(world.endpoints.submissions)
        await world.ticks(10 * MINUTE)
        world.complete_all()
        if len(world.endpoints.submissions) > before:
            times.append(timedelta(seconds=world.clock.seconds()))
    assert len(times) == len(world.endpoints.submissions) == 3
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert all(GAP <= gap <= GAP + 10 * MINUTE for gap in gaps)


async def test_a_submission_that_was_refused_does_not_begin_the_gap() -> None:
    world = QuietWorld(quiet_route(minimum_gap=GAP))
    world.endpoints.answers = [NotSent(message="no connection")]
    await world.land(path(1))
    await world.ticks(8 * MINUTE)
    assert len(world.endpoints.submissions) == 2


async def test_another_attempt_keeps_the_gap() -> None:
    world = QuietWorld(quiet_route(minimum_gap=GAP, max_attempts=2))
    await world.land(path(1))
    await world.ticks(7 * MINUTE)
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    await world.ticks(GAP - 10 * MINUTE)
    assert (len(world.endpoints.submissions), world.progress.state) == (1, State.PENDING)
    await world.ticks(20 * MINUTE)
    assert len(world.endpoints.submissions) == 2


async def test_other_folders_do_not_wait_for_each_others_gap() -> None:
    world = QuietWorld(quiet_route(minimum_gap=GAP))
    await world.land(path(1, "b1"))
    await world.land(path(1, "b2"))
    await world.ticks(8 * MINUTE)
    assert len(world.endpoints.submissions) == 2


# --- rare coincidences --------------------------------------------------------------------------


async def test_a_longer_quiet_reaches_the_mark_before_touches_are_skipped_for_it() -> None:
    world = QuietWorld()
    await world.land(path(1))
    longer = quiet_route(ready=Ready(quiet=timedelta(hours=6), at_most=timedelta(hours=10)))
    world.services = host(world.services, routes=[longer])
    world.clock.pass_(MINUTE)
    await world.land(path(2))
    await world.ticks(6 * MINUTE)
    world.complete_all()
    await world.land(path(3))
    await world.finish()
    assert world.submitted[-1] == ["00001", "00002", "00003"]


async def waiting_versions() -> tuple[QuietWorld, Route]:
    """Return a world in which two versions of a folder wait to be submitted."""
    route = quiet_route(max_attempts=2)
    world = QuietWorld(msgspec.structs.replace(route, enabled=False))
    for number in (1, 2):
        await world.land(path(number))
        await world.ticks(6 * MINUTE)
    return world, route


async def test_versions_that_wait_do_not_both_yield_to_each_other() -> None:
    world, route = await waiting_versions()
    world.services = msgspec.structs.replace(world.services, routes=[route])
    await world.tick()
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    del world.storage.blobs[path(2)]
    await world.finish()
    assert world.submitted[-1] == ["00001"]
    assert [end for end, _ in world.publisher.ends] == ["superseded", "superseded", "completed"]


async def test_versions_that_wait_while_a_file_goes_do_not_both_yield_to_each_other() -> None:
    world, route = await waiting_versions()
    del world.storage.blobs[path(2)]
    world.services = msgspec.structs.replace(world.services, routes=[route])
    await world.finish()
    assert world.submitted
    assert "completed" in [end for end, _ in world.publisher.ends]


async def test_a_folder_that_cannot_be_listed_holds_up_no_job() -> None:
    world = QuietWorld(quiet_route(), file_route(match="other/*"))
    await world.land("other/a.csv")
    await world.land(path(1))
    world.clock.pass_(6 * MINUTE)
    world.complete("batchjob-1")
    world.services = msgspec.structs.replace(
        world.services,
        timing=msgspec.structs.replace(
            world.services.timing, gather_deadline=timedelta(milliseconds=50)
        ),
    )
    Stalled(world.storage, "folder")
    await poll.poll(world.services)
    assert world.publisher.ends == [("completed", None)]


@pytest.mark.parametrize(
    "stall",
    [
        lambda world: Stalled(world.folders, "start_cooldown", after_effect=True),
        lambda world: Stalled(world.ledger, "save"),
    ],
    ids=["turn", "claim"],
)
async def test_the_gap_is_kept_though_a_host_freezes(stall: Callable[[World], Stalled]) -> None:
    world = QuietWorld(quiet_route(minimum_gap=GAP, endpoint="slow"))
    times: list[timedelta] = []
    submit = world.endpoints.submit

    async def timed(endpoint: Any, submission: Any) -> Any:
        times.append(timedelta(seconds=world.clock.seconds()))
        return await submit(endpoint, submission)

    world.endpoints.submit = timed  # type: ignore[method-assign]
    for number in (1, 2):
        await world.land(path(number))
        await world.ticks(QUIET - 15 * SECOND)
        world.clock.pass_(30 * SECOND)
        frozen = stall(world)
        task = asyncio.create_task(poll.poll(world.services))
        reached = asyncio.create_task(frozen.reached.wait())
        await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
        world.clock.pass_(90 * MINUTE)
        frozen.go_on.set()
        frozen.reached.set()
        await asyncio.gather(task, reached)
        await world.ticks(MINUTE)
    await world.ticks(2 * GAP)
    assert len(times) == 2
    assert times[1] - times[0] >= GAP - MINUTE


async def test_a_version_that_was_listed_before_the_submission_is_not_late() -> None:
    world = QuietWorld(ONCE)
    await world.land(path(1))
    world.clock.pass_(QUIET)
    frozen = Stalled(world.storage, "folder", after_effect=True)
    slow = asyncio.create_task(poll.poll(world.services))
    await frozen.reached.wait()
    await world.land(path(2))
    await world.ticks(7 * MINUTE)
    world.complete_all()
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("completed", None)]
    frozen.go_on.set()
    await slow
    await world.finish()
    assert world.publisher.ends == [("completed", None)]
