"""What is copied to its place in the background is scored once it is there, and not before."""

import logging
from datetime import timedelta

import msgspec
import pytest

from scoring.jobs.progress import State
from tests.factories import DIGITS, quiet_route, route
from tests.fakes import World

FILE = "landing/heart/a.csv"
HEART = route(name="heart", match="landing/heart/**/*.csv", input="file")
MINUTE = timedelta(minutes=1)


async def test_a_file_that_is_being_copied_waits_and_its_whole_version_is_scored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The event tells of an empty version, and none of the whole one."""
    world = World(HEART)
    with caplog.at_level(logging.INFO):
        await world.land(FILE, size=0, copying=True)
        await world.ticks(5 * MINUTE)
    assert world.endpoints.submissions == []
    assert world.progress.state is State.PENDING
    assert "reason=copying" in caplog.text
    world.storage.put(FILE, size=10)
    await world.ticks(2 * MINUTE)
    (submission,) = world.endpoints.submissions
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("superseded", "overwritten"), ("completed", None)]
    assert world.publisher.events[-1]["data"]["input"]["size"] == 10
    assert submission.input_uri.endswith(FILE)


async def test_it_does_not_keep_others_from_their_turn() -> None:
    world = World(msgspec.structs.replace(HEART, max_active=1))
    await world.land(FILE, size=0, copying=True)
    await world.land("landing/heart/b.csv")
    await world.ticks(MINUTE)
    (submission,) = world.endpoints.submissions
    assert submission.input_uri.endswith("b.csv")


async def test_where_overwriting_is_ignored_the_same_job_takes_the_whole_version() -> None:
    world = World(msgspec.structs.replace(HEART, on_overwrite="ignore"))
    await world.land(FILE, size=0, copying=True)
    world.storage.put(FILE, size=10)
    await world.ticks(2 * MINUTE)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert world.publisher.events[-1]["data"]["input"]["size"] == 10


async def test_a_copy_that_fails_leaves_an_empty_file_which_is_rejected() -> None:
    world = World(HEART)
    landed = await world.land(FILE, size=0, copying=True)
    blob = world.storage.blobs[FILE]
    world.storage.blobs[FILE] = msgspec.structs.replace(blob, copying=False)
    await world.ticks(70 * MINUTE, every=MINUTE)
    assert blob.etag == landed.etag
    assert world.publisher.ends == [("rejected", "empty")]


async def test_a_folder_waits_for_each_file_that_is_being_copied() -> None:
    world = World(DIGITS)
    world.storage.put("landing/digits/b1/1.png", size=0, copying=True)
    world.storage.put("landing/digits/b1/2.png")
    await world.land("landing/digits/b1.done", size=0)
    await world.ticks(5 * MINUTE)
    assert world.endpoints.submissions == []
    world.storage.put("landing/digits/b1/1.png")
    await world.ticks(2 * MINUTE)
    assert len(world.endpoints.submissions) == 1


async def test_a_folder_is_not_quiet_while_a_file_is_being_copied_to_it() -> None:
    world = World(quiet_route())
    await world.land("landing/b1/1.png")
    world.storage.put("landing/b1/2.png", size=0, copying=True)
    await world.ticks(timedelta(hours=2))
    assert world.ledger.open == {}
    world.storage.put("landing/b1/2.png")
    await world.ticks(10 * MINUTE)
    assert len(world.endpoints.submissions) == 1
