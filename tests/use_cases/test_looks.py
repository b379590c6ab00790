"""Inputs and outputs that cannot be looked at: what ends a job, what waits, and what keeps nobody."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Refused, SetupError, Unavailable
from scoring.events.storage import PartialLanding
from scoring.jobs.batch_job import ErrorAnswer
from scoring.jobs.progress import State
from scoring.use_cases import on_landing
from tests.factories import folder_route, route
from tests.fakes import PLACE, START, World

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FILE, OTHER = "landing/a.csv", "landing/b.csv"
KEY = Refused("409: it has a key of its own", code="BlobUsesCustomerSpecifiedEncryption")


def refuse(world: World, *paths: str, by: Exception) -> None:
    """Let looks at these blobs fail."""
    look = world.storage.blob

    async def blob(place: Any, path: str) -> Any:
        if path in paths:
            raise by
        return await look(place, path)

    world.storage.blob = blob  # type: ignore[method-assign]


# --- before the POST ----------------------------------------------------------------------------


@pytest.mark.parametrize("of", [route(), folder_route()], ids=["file", "marker"])
async def test_a_blob_that_the_storage_refuses_permanently_is_rejected(of: Any) -> None:
    world = World(of)
    path = FILE if of.input == "file" else "landing/b1.done"
    refuse(world, path, by=KEY)
    await world.land(path)
    assert world.publisher.ends == [("rejected", "storage-refused")]
    assert (
        "BlobUsesCustomerSpecifiedEncryption"
        in world.publisher.events[0]["data"]["reason"]["message"]
    )
    assert (world.endpoints.submissions, world.ledger.open) == ([], {})


async def test_so_is_one_that_was_renamed_into_its_place() -> None:
    """The event of a rename says no version, and a look does not either."""
    world = World(route())
    world.storage.put(FILE)
    refuse(world, FILE, by=KEY)
    renamed = PartialLanding(
        account=PLACE.account, container=PLACE.container, path=FILE, landed=START
    )
    await on_landing.take(world.services, [renamed])
    assert world.publisher.ends == [("rejected", "storage-refused")]


async def test_a_refusal_that_may_be_fixed_ends_a_job_after_a_day() -> None:
    world = World(route())
    refuse(world, FILE, by=SetupError("400: InvalidUri"))
    with pytest.raises(SetupError):
        await world.land(FILE)
    await world.ticks(DAY - HOUR, every=10 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(2 * HOUR, every=10 * MINUTE)
    assert world.publisher.ends == [("rejected", "storage-refused")]


async def test_a_service_that_is_away_ends_no_job() -> None:
    world = World(route())
    look = world.storage.blob
    refuse(world, FILE, by=Unavailable("503"))
    with pytest.raises(Unavailable):
        await world.land(FILE)
    await world.ticks(2 * DAY, every=10 * MINUTE)
    assert world.publisher.ends == []
    world.storage.blob = look  # type: ignore[method-assign]
    await world.tick(MINUTE)
    assert world.progress.state is State.SUBMITTED
    assert (world.progress.held_since, world.progress.look_refused) == (None, None)


async def test_a_look_that_is_never_answered_is_cut() -> None:
    world = World(route())
    timing = msgspec.structs.replace(world.services.timing, look=timedelta(seconds=0.01))
    world.services = msgspec.structs.replace(world.services, timing=timing)

    async def blob(*_: Any) -> Any:
        await asyncio.Event().wait()

    world.storage.blob = blob  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        await world.land(FILE)
    assert world.progress.state is State.PENDING


# --- others go on -------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [Unavailable("503"), SetupError("400"), KEY])
@pytest.mark.parametrize("limit", [1, "unlimited"])
async def test_what_cannot_be_looked_at_does_not_keep_others_of_its_endpoint(
    failure: Exception, limit: Any
) -> None:
    """Forty such files lie there before the good one; there is room for one."""
    world = World(route(max_active=limit))
    bad = [f"landing/bad-{number}.csv" for number in range(40)]
    refuse(world, *bad, by=failure)
    for path in bad:
        world.storage.put(path)
    world.clock.pass_(MINUTE)
    world.storage.put(FILE)
    await world.sweep()
    await world.ticks(45 * MINUTE, every=MINUTE)
    assert len(world.endpoints.submissions) == 1


async def test_the_next_job_probes_the_endpoint_within_the_same_tick() -> None:
    world = World(route())
    refuse(world, FILE, by=Unavailable("503"))
    world.storage.put(FILE)
    world.storage.put(OTHER)
    await world.sweep()
    await world.sweep()
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_an_endpoint_that_refuses_is_probed_once_a_tick() -> None:
    world = World(route())
    for number in range(5):
        world.storage.put(f"landing/{number}.csv")
    await world.sweep()
    await world.sweep()
    world.endpoints.answers = [ErrorAnswer(status=403, message="no role")] * 5
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_an_entry_that_cannot_be_read_does_not_keep_others() -> None:
    """As one that a newer version of the code wrote."""
    world = World(route(max_active=1))
    await world.land(FILE)
    world.clock.pass_(MINUTE)
    await world.land(OTHER)
    first = min(world.ledger.open.values(), key=lambda one: one[0].landing.landed)[0].key
    read = world.ledger.job

    async def job(key: str) -> Any:
        if key == first:
            raise msgspec.ValidationError("Invalid enum value 'bundle'")
        return await read(key)

    world.ledger.job = job  # type: ignore[method-assign]
    await world.ticks(5 * MINUTE, every=MINUTE)
    assert len(world.endpoints.submissions) == 1


# --- at the end ---------------------------------------------------------------------------------


async def test_at_its_end_a_blob_that_is_refused_permanently_costs_only_the_look() -> None:
    world = World(route())
    await world.land(FILE)
    world.complete("batchjob-1")
    refuse(world, *world.storage.blobs, by=KEY)
    await world.tick()
    (event,) = world.publisher.events
    assert event["data"]["status"] == "completed"
    assert event["data"]["output"]["verified"] is False
    assert event["data"]["input"]["overwritten"] is None


async def test_at_its_end_a_refusal_is_waited_out_for_a_day() -> None:
    world = World(route())
    await world.land(FILE)
    world.complete("batchjob-1")
    refuse(world, FILE, by=SetupError("400"))
    await world.ticks(DAY - HOUR, every=10 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(2 * HOUR, every=10 * MINUTE)
    assert world.publisher.ends == [("completed", None)]


# --- empty files --------------------------------------------------------------------------------


async def test_an_empty_file_waits_for_its_content_and_is_superseded_by_it() -> None:
    """Some writers create a file first and fill it a moment later."""
    world = World(route(max_active=1))
    await world.land(FILE, size=0)
    await world.tick()
    assert (world.progress.state, world.publisher.ends) == (State.PENDING, [])
    await world.land(OTHER)
    await world.tick()
    assert len(world.endpoints.submissions) == 1, "it keeps no place"
    world.complete("batchjob-1")
    await world.land(FILE, size=10)
    await world.ticks(10 * MINUTE, every=MINUTE)
    world.complete("batchjob-2")
    await world.ticks(10 * MINUTE, every=MINUTE)
    assert sorted(world.publisher.ends) == [
        ("completed", None),
        ("completed", None),
        ("superseded", "overwritten"),
    ]


async def test_a_file_that_stays_empty_for_an_hour_is_rejected() -> None:
    world = World(route())
    await world.land(FILE, size=0)
    await world.ticks(HOUR - 2 * MINUTE, every=MINUTE)
    assert world.publisher.ends == []
    await world.ticks(3 * MINUTE, every=MINUTE)
    assert world.publisher.ends == [("rejected", "empty")]
