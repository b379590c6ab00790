"""The queue trigger: what a function receives, and what happens to its message."""

import itertools
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue.aio import QueueClient

from local.host import Host
from local.host.queues import next_wait
from local.storage import Storage
from tests.local.apps.running import (
    SAMPLE,
    client,
    expected,
    new_queue,
    requests_to,
    running,
    settings_for,
)

PACE = 0.05
HIDDEN = timedelta(seconds=600 * PACE)
MOST_DELIVERIES = 3
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
async def queue(storage: Storage) -> AsyncIterator[QueueClient]:
    async with new_queue(storage) as client:
        yield client


@pytest.fixture(scope="module")
async def host(
    storage: Storage, queue: QueueClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    async with running(SAMPLE, folder, settings_for(queue, storage), pace=PACE) as part:
        yield part


async def got(host: Host, text: str, times: int = 1) -> dict[str, Any]:
    """Wait until a function has received a message for the n-th time; return what it knew of it."""
    line = await host.until(rf"User.0. got {text} \{{", times=times)
    known: dict[str, Any] = json.loads(line[line.index("{") :])
    return known


def count(host: Host, pattern: str) -> int:
    return sum(1 for line in host.lines if re.search(pattern, line))


async def exhaust_deliveries(queue: QueueClient) -> None:
    """Receive a message as often as is allowed, and make it visible again."""
    for _ in range(MOST_DELIVERIES):
        message = await queue.receive_message()
        assert message is not None
        await queue.update_message(message, visibility_timeout=0)


# A message


async def test_a_message_has_the_metadata_of_the_queue(host: Host, queue: QueueClient) -> None:
    """Times are aware, UTC, and whole seconds; it is hidden for ten minutes from its receipt."""
    sent = await queue.send_message("hello")
    known = await got(host, "hello")
    inserted, expires, visible = (
        datetime.fromisoformat(known[name]) for name in ("inserted", "expires", "visible")
    )
    assert (known["id"], known["try"], known["receipt"]) == (sent.id, 1, "str")
    assert inserted.tzinfo == expires.tzinfo == visible.tzinfo == UTC
    assert (inserted.microsecond, inserted) == (0, sent.inserted_on)
    assert expires - inserted == WEEK
    assert visible - inserted >= HIDDEN
    await host.until(rf"^info: Function.work.1. Executing .*'{queue.queue_name}'")
    await host.until(rf"^info: Function.work.0. Trigger Details: MessageId: {sent.id}, Deq")
    await host.until("^info: Function.work.2. Executed 'Functions.work' .Succeeded")


async def test_a_message_may_live_for_ever(host: Host, queue: QueueClient) -> None:
    await queue.send_message("for ever", time_to_live=-1)
    assert (await got(host, "for ever"))["expires"].startswith("9999-12-31T")


@pytest.mark.parametrize("size", [0, 65_536])
async def test_a_body_may_be_empty_or_of_the_largest_size(
    size: int, host: Host, queue: QueueClient
) -> None:
    await queue.send_message("x" * size)
    assert (await got(host, "x" * min(size, 20)))["size"] == size


async def test_a_message_is_deleted_after_success_and_a_queue_may_be_created_later(
    host: Host, queue: QueueClient, storage: Storage
) -> None:
    with expected(storage, "DELETE", f"{queue.queue_name}-sync/messages/") as deletion:
        async with new_queue(storage, f"{queue.queue_name}-sync") as late:
            await late.send_message("late")
            await host.until("not async: late")
            await storage.queue_faults.until_met(deletion)


# Polling


def test_the_waits_between_polls_grow_up_to_the_longest() -> None:
    waits = list(itertools.accumulate(range(9), lambda last, _: next_wait(last, 2.0), initial=0.0))
    assert waits[1] == 0.1
    assert waits == sorted(waits)
    assert waits[-2:] == [2.0, 2.0]


# Failure and poison


async def test_a_failing_message_comes_again_and_ends_as_poison(
    host: Host, queue: QueueClient, storage: Storage
) -> None:
    """The copy is put into the poison queue before the original is deleted, so that none is lost."""
    name = queue.queue_name
    with (
        requests_to(storage, name) as requests,
        expected(storage, "DELETE", f"{name}/messages/") as deletion,
    ):
        sent = await queue.send_message("fail")
        tries = [await got(host, "fail", times) for times in (1, 2, 3)]
        await host.until(f"Message has reached MaxDequeueCount of 3. .* queue '{name}-poison'")
        await storage.queue_faults.until_met(deletion)
    assert [(known["id"], known["try"]) for known in tries] == [(sent.id, n) for n in (1, 2, 3)]
    assert count(host, "^fail: Function.work.3. Executed .*Failed, .*ValueError: as asked") == 3
    assert count(host, "^fail: Host.Results.0. .*ValueError: as asked") == 3
    changes = [(method, path.partition("?")[0]) for method, path in requests if method != "GET"]
    assert changes[-5:] == [
        ("PUT", f"/messages/{sent.id}"),  # visible again, for its third time
        ("POST", "-poison/messages"),
        ("PUT", "-poison"),
        ("POST", "-poison/messages"),
        ("DELETE", f"/messages/{sent.id}"),
    ]
    async with client(storage, f"{name}-poison") as poison:
        (message,) = await poison.peek_messages()
    assert (message.content, message.dequeue_count) == ("fail", 0)
    assert message.id != sent.id
    assert message.inserted_on is not None
    assert message.expires_on == message.inserted_on + WEEK


async def test_a_message_received_too_often_elsewhere_is_moved_without_a_call(
    storage: Storage, tmp_path: Path
) -> None:
    async with new_queue(storage) as queue:
        await queue.send_message("elsewhere")
        await exhaust_deliveries(queue)
        async with running(SAMPLE, tmp_path, settings_for(queue, storage), pace=PACE) as host:
            await host.until("Message has reached MaxDequeueCount of 3")
            assert not count(host, "Executing")


async def test_what_fails_on_a_poison_queue_stays_hidden_and_comes_again(
    storage: Storage, tmp_path: Path
) -> None:
    """Until it expires: the number of attempts has no limit, and there is no second poison queue."""
    async with new_queue(storage) as queue, new_queue(storage, f"{queue.queue_name}-poison") as bad:
        await bad.send_message("bad")
        await exhaust_deliveries(bad)
        settings = settings_for(queue, storage, POISON=bad.queue_name)
        with requests_to(storage, bad.queue_name) as requests:
            async with running(SAMPLE, tmp_path, settings, pace=1 / 600) as host:
                for times in (4, 5):
                    await host.until(f"Executed .*poison, try={times}")
        assert {method for method, _ in requests} == {"GET"}


# Concurrency


async def test_batch_size_and_threshold_limit_how_many_run_at_once(
    storage: Storage, tmp_path: Path
) -> None:
    """Batches of 4, and the next once 2 or fewer run; received messages start at once."""
    async with new_queue(storage) as queue:
        for number in range(12):
            await queue.send_message(f"wait {number}")
        with expected(storage, "GET", f"{queue.queue_name}-talk/messages") as other_poll:
            async with running(SAMPLE, tmp_path, settings_for(queue, storage), pace=PACE) as host:
                await host.until("got wait", times=4)
                await host.run_by_hand("release", "1")
                await host.until("'Functions.work' .Succeeded")
                await storage.queue_faults.until_met(other_poll, other_poll.met + 2)
                await host.run_by_hand("release", "1")
                await host.until("got wait", times=8)
                await host.run_by_hand("release", "4")
                await host.until("got wait", times=12)
                await host.run_by_hand("release", "6")
                await host.until("'Functions.work' .Succeeded", times=12)
                lines = [line for line in host.lines if re.search(r"Function.work.(1|2)\]", line)]
    in_work = list(itertools.accumulate(1 if "Executing" in line else -1 for line in lines))
    assert in_work == [1, 2, 3, 4, 3, 2, 3, 4, 5, 6, 5, 4, 3, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0]


# Base exceptions


async def test_a_run_that_raises_a_base_exception_keeps_its_message_and_its_place(
    storage: Storage, tmp_path: Path
) -> None:
    """Its visibility timeout, 2 s here, is renewed after half of the time, until there is a result."""
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, tmp_path, settings_for(queue, storage), pace=2 / 600) as host,
    ):
        with (
            expected(storage, "PUT", f"{queue.queue_name}/.*visibilitytimeout=2") as renewal,
            expected(storage, "DELETE", f"{queue.queue_name}/messages/") as deletion,
        ):
            for text in ("cancel", "leak", "wait"):
                await queue.send_message(text)
            await storage.queue_faults.until_met(renewal, 6)
            await host.run_by_hand("release", "1")
            await storage.queue_faults.until_met(deletion)
            await queue.send_message("next")
            await storage.queue_faults.until_met(deletion, 2)
        assert (count(host, "got cancel"), count(host, "got leak")) == (1, 1)
        assert (count(host, "got wait"), count(host, "got next")) == (1, 1)
        assert not count(host, "Failed|exception|Leak:|Cancelled|Host.Queues")
