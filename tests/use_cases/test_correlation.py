"""What is dropped with a file comes back in its event: that of the version which is scored."""

import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.events.correlation import LONGEST
from scoring.jobs.batch_job import ErrorAnswer, JobState, Unclear
from scoring.routes.route import Route
from scoring.use_cases import on_landing
from tests.factories import folder_route, route
from tests.fakes import World

FILE = "landing/a.csv"
FILES = route()
ONE = {"landfall_order": "1"}
TWO = {"landfall_order": "2"}
MINUTE = timedelta(minutes=1)


class DiedError(BaseException):
    """The host is gone."""


def told(world: World) -> list[tuple[str, dict[str, str]]]:
    """Return status and correlation of each event."""
    return [
        (event["data"]["status"], event["data"]["correlation"]) for event in world.publisher.events
    ]


async def test_metadata_under_the_prefix_are_in_the_event() -> None:
    world = World(FILES)
    await world.land(FILE, metadata={"Landfall_Order": "1", "owner": "ward-3"})
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("completed", {"Landfall_Order": "1"})]


async def test_the_prefix_is_the_apps() -> None:
    world = World(FILES)
    world.services = msgspec.structs.replace(world.services, metadata_prefix="own")
    await world.land(FILE, metadata={**ONE, "owner": "ward-3"})
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("completed", {"owner": "ward-3"})]


async def test_a_file_overwritten_while_its_job_runs_keeps_what_it_was_dropped_with() -> None:
    world = World(FILES)
    await world.land(FILE, metadata=ONE)
    world.storage.put(FILE, metadata=TWO)
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("completed", ONE)]


async def test_a_superseded_version_took_its_metadata_with_it() -> None:
    world = World(FILES)
    old = world.landing(world.storage.put(FILE, metadata=ONE))
    world.storage.put(FILE, metadata=TWO)
    await on_landing.land(world.services, old)
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("superseded", {}), ("completed", TWO)]


@pytest.mark.parametrize("end", ["completed", "rejected"])
async def test_where_overwriting_is_ignored_it_is_the_version_that_the_event_names(
    end: str,
) -> None:
    world = World(msgspec.structs.replace(FILES, on_overwrite="ignore"))
    old = world.landing(world.storage.put(FILE, metadata=ONE))
    new = world.storage.put(FILE, metadata=TWO, block=end != "rejected")
    await on_landing.land(world.services, old)
    if end == "completed":
        world.complete("batchjob-1")
        await world.tick()
    assert told(world) == [(end, TWO)]
    (event,) = world.publisher.events
    assert (event["data"]["input"]["etag"], event["data"]["input"]["size"]) == (new.etag, new.size)


@pytest.mark.parametrize("of", [FILES, folder_route()])
async def test_a_rejected_file_or_marker_is_told_with_it(of: Route) -> None:
    world = World(of)
    path = FILE if of is FILES else "landing/b1.done"
    await world.land(path, block=False, metadata=ONE)
    assert told(world) == [("rejected", ONE)]


async def test_a_folders_is_its_markers() -> None:
    world = World(folder_route())
    await world.land("landing/b1/1.png", metadata=TWO)
    await world.land("landing/b1.done", size=0, metadata=ONE)
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("completed", ONE)]


async def test_it_is_kept_while_the_endpoint_refuses_and_the_batch_job_fails() -> None:
    world = World(msgspec.structs.replace(FILES, max_attempts=2))
    world.endpoints.answers = [
        ErrorAnswer(status=429, message="slow"),
        lambda _: Unclear(message="lost"),
    ]
    await world.land(FILE, metadata=ONE)
    await world.ticks(MINUTE)
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    await world.ticks(MINUTE)
    del world.storage.blobs[FILE]
    world.complete("batchjob-2")
    await world.ticks(MINUTE)
    assert told(world) == [("completed", ONE)]


async def test_a_host_that_died_after_its_post_left_it_to_be_seen_at_the_end() -> None:
    """What it had seen went with it; the version is the one that still lies there."""
    for overwritten in (False, True):
        world = World(FILES)

        async def die(*_: Any) -> None:
            raise DiedError

        save, world.ledger.save = world.ledger.save, die  # type: ignore[method-assign,assignment]
        with pytest.raises(DiedError):
            await world.land(FILE, metadata=ONE)
        world.ledger.save = save  # type: ignore[method-assign]
        if overwritten:
            world.storage.put(FILE, metadata=TWO)
        world.complete("batchjob-1")
        await world.ticks(6 * MINUTE)
        assert told(world) == [("completed", {} if overwritten else ONE)]


async def test_where_the_app_may_not_look_there_is_none() -> None:
    world = World(FILES)
    world.storage.forbidden.add(FILE)
    await world.land(FILE, metadata=ONE)
    world.complete("batchjob-1")
    await world.tick()
    assert told(world) == [("completed", {})]


async def test_what_has_no_room_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    world = World(FILES)
    with caplog.at_level(logging.WARNING, logger="landfall"):
        await world.land(FILE, metadata={**ONE, "landfall_z": "x" * LONGEST})
        world.complete("batchjob-1")
        await world.tick()
    assert told(world) == [("completed", ONE)]
    (line,) = caplog.messages
    assert line.startswith("metadata-cut ")
    assert line.endswith(f"path={FILE} names=landfall_z")
