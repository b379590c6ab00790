"""The sweep finds what the events missed, and nothing twice."""

import itertools
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Unavailable
from scoring.ports import Services
from scoring.use_cases import on_landing, sweep
from tests.factories import DIGITS, route
from tests.fakes import START, World

HEART = route(name="heart", match="landing/heart/**/*.csv")
MINUTE = timedelta(minutes=1)
HOUR = 60 * MINUTE


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


def path_of(number: int) -> str:
    return f"landing/heart/{number:03}.csv"


def scored(world: World) -> list[str]:
    """The paths of all inputs that were submitted, in their order by name."""
    uris = (submission.input_uri for submission in world.endpoints.submissions)
    return sorted(uri.partition("/paths/")[2] for uri in uris)


async def swept(*routes: Any) -> World:
    """Return a world that a first sweep has seen empty."""
    world = World(*(routes or (HEART,)))
    await world.sweep()
    return world


async def test_a_file_whose_event_never_came_is_scored() -> None:
    world = await swept()
    world.storage.put(path_of(1))
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(1)]


async def test_a_folder_whose_markers_event_never_came_is_scored() -> None:
    world = await swept(DIGITS)
    world.storage.put("landing/digits/b/1.png")
    world.storage.put("landing/digits/b.done", size=0)
    await world.sweep()
    await world.tick()
    assert scored(world) == ["landing/digits/b"]


async def test_what_is_known_is_left_alone_at_the_cost_of_a_look_if_it_has_ended() -> None:
    world = await swept()
    await world.land(path_of(1))
    await world.land(path_of(2))
    world.complete("batchjob-1")
    await world.tick()
    claims: list[str] = []
    claim = world.ledger.claim

    async def counting(job: Any, progress: Any) -> Any:
        claims.append(job.key)
        return await claim(job, progress)

    world.ledger.claim = counting  # type: ignore[method-assign]
    for _ in range(4):
        await world.sweep()
    assert claims == []
    assert len(world.endpoints.submissions) == 2
    assert len(world.publisher.published) == 1


async def test_a_sweep_and_an_event_for_the_same_file_make_one_job() -> None:
    world = await swept()
    blob = world.storage.put(path_of(1))
    await world.sweep()
    await on_landing.land(world.services, world.landing(blob))
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_a_young_file_is_left_to_its_event_and_found_by_the_next_sweep() -> None:
    world = await swept()
    world.clock.pass_(8 * MINUTE)
    world.storage.put(path_of(1))
    await world.sweep(2 * MINUTE)
    assert world.ledger.open == {}
    await world.sweep()
    assert len(world.ledger.open) == 1


async def test_an_empty_file_is_left_alone_for_an_hour_and_not_forgotten() -> None:
    """Its content may still be on the way."""
    world = await swept()
    world.storage.put(path_of(1), size=0)
    for _ in range(5):
        await world.sweep()
    assert world.ledger.done == {}
    for _ in range(2):
        await world.sweep()
    await world.tick()
    assert world.publisher.ends == [("rejected", "empty")]


@pytest.mark.parametrize("before", [timedelta(0), timedelta(seconds=1), 2 * MINUTE])
async def test_a_file_of_the_watermarks_second_or_a_little_before_is_found(
    before: timedelta,
) -> None:
    """It may have been committed after the listing had passed its name."""
    world = await swept()
    blob = world.storage.put(path_of(1))
    world.storage.blobs[blob.path] = msgspec.structs.replace(blob, modified=blob.modified - before)
    await world.sweep()
    assert len(world.ledger.open) == 1


async def test_a_file_that_lands_under_a_name_that_the_listing_has_passed_is_found() -> None:
    world = await swept()
    world.storage.page_size = 2
    for number in (5, 6, 7, 8):
        world.storage.put(path_of(number))
    page, names = world.storage.page, iter((1, 2))

    async def with_a_newcomer(*args: Any) -> Any:
        shown = await page(*args)
        world.storage.put(path_of(next(names)))
        world.clock.pass_(MINUTE)
        return shown

    world.storage.page = with_a_newcomer  # type: ignore[method-assign,assignment]
    await world.sweep()
    world.storage.page = page  # type: ignore[method-assign]
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(number) for number in (1, 2, 5, 6, 7, 8)]


async def test_a_sweep_that_dies_at_any_step_leaves_nothing_out() -> None:
    for steps in itertools.count():
        world = await swept()
        world.storage.page_size = 2
        for number in range(5):
            world.storage.put(path_of(number))
        left = iter(range(steps))
        claim = world.ledger.claim

        async def dying(job: Any, progress: Any, *, left: Any = left, claim: Any = claim) -> Any:
            if next(left, None) is None:
                raise KilledError
            return await claim(job, progress)

        world.ledger.claim = dying  # type: ignore[method-assign]
        died = False
        try:
            await world.sweep()
        except KilledError:
            died = True
        world.ledger.claim = claim  # type: ignore[method-assign]
        await world.sweep()
        await world.tick()
        assert scored(world) == [path_of(number) for number in range(5)]
        if not died:
            break
    assert steps == 5


async def test_a_claim_that_fails_in_the_middle_of_a_sweep_leaves_nothing_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await swept()
    for number in range(5):
        world.storage.put(path_of(number))
    claim, left = world.ledger.claim, iter(range(2))

    async def failing(job: Any, progress: Any) -> Any:
        if next(left, None) is None:
            raise Unavailable("503")
        return await claim(job, progress)

    world.ledger.claim = failing  # type: ignore[method-assign]
    await world.sweep()
    assert "sweep-error route=heart" in caplog.text
    world.ledger.claim = claim  # type: ignore[method-assign]
    for _ in range(6):
        await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(number) for number in range(5)]


async def test_a_sweep_that_runs_out_of_its_time_goes_on_where_it_was() -> None:
    world = await swept()
    world.storage.page_size = 2
    for number in range(6):
        world.storage.put(path_of(number))
    page, starts = world.storage.page, []

    async def slow(place: Any, prefix: str, start: str) -> Any:
        starts.append(start)
        world.clock.pass_(2 * MINUTE)
        return await page(place, prefix, start)

    world.storage.page = slow  # type: ignore[method-assign]
    await world.sweep()
    await world.sweep()
    await world.tick()
    assert starts == ["", path_of(2), path_of(4)]
    assert scored(world) == [path_of(number) for number in range(6)]


async def test_a_first_sweep_that_is_cut_does_not_forget_where_it_began() -> None:
    world = World(HEART)
    world.storage.page_size = 2
    for number in range(4):
        world.storage.put(path_of(number))
    world.services = msgspec.structs.replace(
        world.services,
        timing=msgspec.structs.replace(world.services.timing, deadline=timedelta(0)),
    )
    await world.sweep(9 * MINUTE)
    await world.sweep(9 * MINUTE)
    assert len(world.ledger.open) == 4


async def test_a_place_that_the_storage_does_not_know_any_more_starts_the_pass_anew() -> None:
    world = await swept()
    mark = msgspec.structs.replace(
        world.marks.sweeps["heart"], place="expired", oldest_left=world.clock.now
    )
    world.marks.sweeps["heart"] = mark
    world.storage.put(path_of(1))
    page = world.storage.page

    async def strict(place: Any, prefix: str, start: str) -> Any:
        if start == "expired":
            raise Unavailable("400")
        return await page(place, prefix, start)

    world.storage.page = strict  # type: ignore[method-assign]
    await world.sweep()
    await world.sweep()
    assert len(world.ledger.open) == 1


@pytest.mark.parametrize(
    ("since", "found"),
    [(None, 0), (START - timedelta(days=2), 1), (START + timedelta(days=2), 0)],
)
async def test_a_first_sweep_goes_back_to_the_routes_since(since: Any, found: int) -> None:
    """Without one what was there before the app is left alone."""
    world = World(msgspec.structs.replace(HEART, since=since))
    world.storage.put(path_of(1))
    await world.sweep(HOUR)
    assert len(world.ledger.open) == found


async def test_what_the_ledger_has_forgotten_is_not_scored_again() -> None:
    world = World(msgspec.structs.replace(HEART, since=START - timedelta(days=1)))
    world.storage.put(path_of(1))
    await world.sweep()
    await world.tick()
    world.complete("batchjob-1")
    await world.ticks(MINUTE)
    world.ledger.done.clear()
    world.marks.sweeps.clear()
    world.clock.pass_(timedelta(days=90))
    await world.sweep()
    assert world.ledger.open == {}


async def test_one_routes_error_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = await swept(HEART, route(name="other", match="landing/other/*.csv"))
    world.storage.put("landing/other/a.csv")
    page = world.storage.page

    async def failing(place: Any, prefix: str, start: str) -> Any:
        if "heart" in prefix:
            raise Unavailable("503")
        return await page(place, prefix, start)

    world.storage.page = failing  # type: ignore[method-assign]
    await world.sweep()
    assert len(world.ledger.open) == 1
    assert 'sweep-error route=heart error="Unavailable: 503"' in caplog.text


async def test_a_disabled_route_and_one_without_its_datastore_lose_nothing() -> None:
    world = await swept(
        msgspec.structs.replace(HEART, enabled=False), route(name="lost", datastore="lost")
    )
    world.storage.put(path_of(1))
    await world.sweep()
    await world.tick()
    assert scored(world) == []
    assert len(world.ledger.open) == 1
    assert set(world.marks.sweeps) == {"heart", "lost"}


async def test_two_sweeps_at_once_keep_the_mark_of_the_first() -> None:
    world = await swept()
    world.storage.put(path_of(1))
    world.clock.pass_(10 * MINUTE)
    leave = world.marks.leave_sweep_mark

    async def after_another(name: str, mark: Any) -> None:
        world.marks.leave_sweep_mark = leave  # type: ignore[method-assign]
        await sweep.sweep(world.services)
        await leave(name, mark)

    world.marks.leave_sweep_mark = after_another  # type: ignore[method-assign,assignment]
    await sweep.sweep(world.services)
    await world.tick()
    assert scored(world) == [path_of(1)]


async def test_a_first_sweep_that_fails_does_not_move_the_first_watermark() -> None:
    world = World(HEART)
    world.clock.pass_(HOUR)
    world.storage.put(path_of(1))
    page = world.storage.page

    async def denied(*_: Any) -> Any:
        raise Unavailable("403, for now")

    world.storage.page = denied  # type: ignore[assignment,method-assign]
    await world.sweep(6 * MINUTE)
    world.storage.page = page  # type: ignore[method-assign]
    await world.sweep()
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(1)]


async def test_where_the_first_sweep_began_is_noted_before_anything_can_fail() -> None:
    """The host dies, or the workspace and the ledger's listing fail, before any route runs."""
    world = World(HEART)
    world.clock.pass_(HOUR)
    world.storage.put(path_of(1))

    async def away() -> Services:
        raise Unavailable("the workspace is away")

    with pytest.raises(Unavailable):
        await sweep.sweep(world.services, away)
    world.clock.pass_(HOUR)
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(1)]


async def test_a_route_that_is_left_out_finds_what_landed_until_it_is_fixed() -> None:
    world = World(HEART)
    broken = msgspec.structs.replace(world.services, routes=[])
    world.clock.pass_(HOUR)
    await sweep.sweep(broken)
    world.storage.put(path_of(1))
    world.clock.pass_(3 * HOUR)
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(1)]


async def test_the_since_of_a_route_that_was_broken_at_first_counts_once_it_can_be_read() -> None:
    world = World(msgspec.structs.replace(HEART, since=START))
    world.storage.put(path_of(1))
    world.clock.pass_(HOUR)
    await sweep.sweep(msgspec.structs.replace(world.services, routes=[]))
    await world.sweep()
    await world.tick()
    assert scored(world) == [path_of(1)]
