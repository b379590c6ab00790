"""The queue trigger: what a function is given, and what becomes of its message."""

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
from local.host.queues import next_gap
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
    """What a function knew of a message; wait until it has it, for the n-th time."""
    line = await host.until(rf"User.0. got {text} \{{", times=times)
    known: dict[str, Any] = json.loads(line[line.index("{") :])
    return known


def count(host: Host, words: str) -> int:
    return sum(1 for line in host.lines if re.search(words, line))


async def receive_in_vain(queue: QueueClient) -> None:
    """Receive a message as often as it may be, and have it visible again."""
    for _ in range(MOST_DELIVERIES):
        message = await queue.receive_message()
        assert message is not None
        await queue.update_message(message, visibility_timeout=0)


# A message


async def test_a_message_comes_with_what_the_queue_knows_of_it(
    host: Host, queue: QueueClient
) -> None:
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
async def test_a_body_is_bytes_from_none_to_the_most(
    size: int, host: Host, queue: QueueClient
) -> None:
    await queue.send_message("x" * size)
    assert (await got(host, "x" * min(size, 20)))["size"] == size


async def test_what_succeeded_is_deleted_and_what_is_not_there_yet_is_waited_for(
    host: Host, queue: QueueClient, storage: Storage
) -> None:
    with expected(storage, "DELETE", f"{queue.queue_name}-sync/messages/") as deletion:
        async with new_queue(storage, f"{queue.queue_name}-sync") as late:
            await late.send_message("late")
            await host.until("not async: late")
            await storage.queue_faults.until_met(deletion)


# Polling


def test_the_gaps_between_looks_grow_up_to_the_longest() -> None:
    gaps = list(itertools.accumulate(range(9), lambda gap, _: next_gap(gap, 2.0), initial=0.0))[1:]
    assert gaps[0] == 0.1
    assert gaps == sorted(gaps)
    assert gaps[-2:] == [2.0, 2.0]


# Failure and poison


async def test_a_failing_message_comes_again_and_ends_as_poison(
    host: Host, queue: QueueClient, storage: Storage
) -> None:
    """Poison is put before the original is deleted: never lost, sometimes doubled."""
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
        await receive_in_vain(queue)
        async with running(SAMPLE, tmp_path, settings_for(queue, storage), pace=PACE) as host:
            await host.until("Message has reached MaxDequeueCount of 3")
            assert not count(host, "Executing")


async def test_what_fails_on_a_poison_queue_stays_hidden_and_comes_again(
    storage: Storage, tmp_path: Path
) -> None:
    """For as long as it lives: no number of tries is too many, and there is no poison of poison."""
    async with new_queue(storage) as queue, new_queue(storage, f"{queue.queue_name}-poison") as bad:
        await bad.send_message("bad")
        await receive_in_vain(bad)
        settings = settings_for(queue, storage, POISON=bad.queue_name)
        with requests_to(storage, bad.queue_name) as requests:
            async with running(SAMPLE, tmp_path, settings, pace=1 / 600) as host:
                for times in (4, 5):
                    await host.until(f"Executed .*poison, try={times}")
        assert {method for method, _ in requests} == {"GET"}


# Concurrency


async def test_so_many_run_at_once_as_a_batch_and_the_threshold_allow(
    storage: Storage, tmp_path: Path
) -> None:
    """Batches of 4, and a new one once 2 or fewer are in work; what is received starts at once."""
    async with new_queue(storage) as queue:
        for number in range(12):
            await queue.send_message(f"wait {number}")
        with expected(storage, "GET", f"{queue.queue_name}-talk/messages") as look_elsewhere:
            async with running(SAMPLE, tmp_path, settings_for(queue, storage), pace=PACE) as host:
                await host.until("got wait", times=4)
                await host.run_by_hand("release", "1")
                await host.until("'Functions.work' .Succeeded")
                await storage.queue_faults.until_met(look_elsewhere, look_elsewhere.met + 2)
                await host.run_by_hand("release", "1")
                await host.until("got wait", times=8)
                await host.run_by_hand("release", "4")
                await host.until("got wait", times=12)
                await host.run_by_hand("release", "6")
                await host.until("'Functions.work' .Succeeded", times=12)
                lines = [line for line in host.lines if re.search(r"Function.work.(1|2)\]", line)]
    in_work = list(itertools.accumulate(1 if "Executing" in line else -1 for line in lines))
    assert in_work == [1, 2, 3, 4, 3, 2, 3, 4, 5, 6, 5, 4, 3, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0]


# Leaks


async def test_what_leaks_is_never_answered_and_keeps_its_message_and_its_place(
    storage: Storage, tmp_path: Path
) -> None:
    """A message is hidden anew at half of its time, 2 s here, until there is an answer."""
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
