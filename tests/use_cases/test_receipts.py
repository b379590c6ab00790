"""Where a route asks for it, what the event says lies beside the output: whatever the end."""

import logging
from typing import Any

import msgspec
import pytest

from scoring.errors import Denied, Unavailable
from scoring.jobs.batch_job import ErrorAnswer, JobState
from scoring.use_cases import on_landing
from tests.factories import folder_route, route
from tests.fakes import World

FILE = "landing/a.csv"
FILES = route(receipt=True, output="scored/{stem}-{key}/predictions.csv", max_attempts=2)


@pytest.mark.parametrize(
    ("state", "end", "attempt"),
    [
        (JobState.COMPLETED, "completed", ""),
        (JobState.FAILED, "failed", "-2"),
        (JobState.CANCELED, "canceled", ""),
    ],
)
async def test_the_events_data_lie_beside_the_output_of_the_last_attempt(
    state: JobState, end: str, attempt: str
) -> None:
    world = World(FILES)
    await world.land(FILE)
    for _ in range(20):
        for batch_job in world.endpoints.jobs:
            world.complete(batch_job)
            world.endpoints.turn(batch_job, state)
        await world.tick()
    (event,) = world.publisher.events
    assert event["data"]["status"] == end
    path = f"scored/a-{event['id']}{attempt}/predictions.csv.receipt.json"
    assert (list(world.storage.receipts), _data(world)) == ([path], [event["data"]])


async def test_what_was_never_submitted_has_its_receipt_where_the_output_would_have_been() -> None:
    world = World(FILES)
    await world.land(FILE, block=False)
    (event,) = world.publisher.events
    assert event["data"]["status"] == "rejected"
    path = f"scored/a-{event['id']}/predictions.csv.receipt.json"
    assert (list(world.storage.receipts), _data(world)) == ([path], [event["data"]])


async def test_a_refused_and_a_superseded_version_have_receipts() -> None:
    world = World(FILES)
    world.endpoints.answers = [ErrorAnswer(status=400, message="BadRequest")]
    await world.land(FILE)
    old = world.landing(world.storage.put("landing/b.csv"))
    world.storage.put("landing/b.csv")
    await on_landing.land(world.services, old)
    assert world.publisher.ends == [("failed", "refused"), ("superseded", "overwritten")]
    assert _data(world) == [event["data"] for event in world.publisher.events]


async def test_the_receipt_of_an_output_folder_lies_beside_it() -> None:
    world = World(folder_route(receipt=True, output="scored/{key}", output_kind="folder"))
    await world.land("landing/b1.done", size=0)
    (event,) = world.publisher.events
    assert list(world.storage.receipts) == [f"scored/{event['id']}.receipt.json"]


async def test_it_is_written_for_people_to_read() -> None:
    world = World(FILES)
    await world.land(FILE, block=False)
    (content,) = world.storage.receipts.values()
    assert content.decode().splitlines()[:2] == [
        "{",
        f'  "job": "{world.publisher.events[0]["id"]}",',
    ]


async def test_a_storage_that_is_away_is_waited_for_and_then_the_event_is_published() -> None:
    world = World(FILES)
    await world.land(FILE)
    world.complete("batchjob-1")
    world.storage.leave_failure = Unavailable("the storage is away")
    await world.tick()
    await world.tick()
    assert world.publisher.published == []
    assert world.progress.state == "ended"
    world.storage.leave_failure = None
    await world.tick()
    assert _data(world) == [event["data"] for event in world.publisher.events]
    assert len(world.publisher.published) == 1
    assert world.ledger.open == {}


async def test_a_missing_role_is_told_and_does_not_hold_back_the_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(FILES)
    world.storage.leave_failure = Denied("403")
    with caplog.at_level(logging.WARNING, logger="landfall"):
        await world.land(FILE, block=False)
    assert world.publisher.ends == [("rejected", "not-a-block-blob")]
    assert world.ledger.open == {}
    (line,) = caplog.messages
    (event,) = world.publisher.events
    path = f"scored/a-{event['id']}/predictions.csv.receipt.json"
    assert line == f"no-receipt job={event['id']} path={path} error=403"


async def test_while_the_topic_refuses_the_receipt_is_there_and_stays() -> None:
    world = World(FILES)
    world.publisher.refuses = True
    await world.land(FILE, block=False)
    (before,) = world.storage.receipts.items()
    world.publisher.refuses = False
    await world.tick()
    assert world.publisher.ends == [("rejected", "not-a-block-blob")]
    assert list(world.storage.receipts.items()) == [before]


@pytest.mark.parametrize("receipt", [True, False])
async def test_only_where_it_is_asked_for_the_body_is_read_again(*, receipt: bool) -> None:
    """Poll finds an end that is not announced, and the receipt's place is in the body."""
    world = World(msgspec.structs.replace(FILES, receipt=receipt))
    world.publisher.refuses = True
    await world.land(FILE, block=False)
    world.publisher.refuses = False
    read: list[Any] = []
    job = world.ledger.job

    async def reading(key: str) -> Any:
        read.append(key)
        return await job(key)

    world.ledger.job = reading  # type: ignore[method-assign]
    await world.tick()
    assert len(world.publisher.published) == 1
    assert (len(read), len(world.storage.receipts)) == ((1, 1) if receipt else (0, 0))


def _data(world: World) -> list[Any]:
    return [msgspec.json.decode(content) for content in world.storage.receipts.values()]
