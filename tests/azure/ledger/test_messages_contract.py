"""What the ledger keeps of messages: one suite over the reference model and over Azurite."""

import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest

from local.faults import Fault
from local.storage import Storage
from scoring.azure.ledger.messages import BlobMessages
from scoring.events.dead_letters import DeadLetterKind
from scoring.ports import Messages
from tests.azure.containers import container
from tests.fakes import Clock, FakeMessages


@dataclass
class Tried:
    """Messages that are kept, and how to lose the answers of the next writes."""

    messages: Messages
    lose_answer: Callable[[], None]
    pass_a_second: Callable[[], None]


@pytest.fixture(params=["model", "azurite"])
async def tried(request: pytest.FixtureRequest, storage: Storage) -> AsyncIterator[Tried]:
    if request.param == "model":
        clock = Clock()
        second = timedelta(seconds=1)
        yield Tried(FakeMessages(clock), lambda: None, lambda: clock.pass_(second))
        return
    async with container(storage) as ledger:
        yield Tried(BlobMessages(ledger), lambda: _lose(storage), lambda: time.sleep(1.1))
    storage.blob_faults.pending.clear()


def _lose(storage: Storage) -> None:
    storage.blob_faults.pending.append(Fault(kind="drop-after", method="PUT", path="stuck|quar"))
    storage.blob_faults.pending.append(Fault(kind="drop-after", method="DELETE"))


async def test_a_message_is_kept_once_as_it_arrived(tried: Tried) -> None:
    digest, message = uuid.uuid4().hex, b"\xff\x00\r\n"
    tried.lose_answer()
    first = await tried.messages.keep(DeadLetterKind.STUCK, digest, message, "first")
    again = await tried.messages.keep(DeadLetterKind.STUCK, digest, message, "second")
    assert first == again
    assert (first.reason, first.size, first.announced) == ("first", 4, False)
    assert await tried.messages.message(first) == message
    assert first in await tried.messages.kept(DeadLetterKind.STUCK)
    assert digest not in {
        one.digest for one in await tried.messages.kept(DeadLetterKind.QUARANTINE)
    }


@pytest.mark.parametrize(
    "reason", ["", "100% of 'ü' \x7f \U0001f642 \ud7ff; {\"a\\b\"}", "😀" * 500]
)
async def test_a_reason_of_any_characters_is_kept(tried: Tried, reason: str) -> None:
    kept = await tried.messages.keep(DeadLetterKind.QUARANTINE, uuid.uuid4().hex, b"", reason)
    await tried.messages.mark_announced(kept)
    (listed,) = [
        one
        for one in await tried.messages.kept(DeadLetterKind.QUARANTINE)
        if one.digest == kept.digest
    ]
    assert kept.reason == listed.reason == reason


async def test_the_mark_of_a_message_does_not_move_the_time_since_when_it_is_kept(
    tried: Tried,
) -> None:
    digest = uuid.uuid4().hex
    kept = await tried.messages.keep(DeadLetterKind.QUARANTINE, digest, b"message", "why")
    tried.pass_a_second()
    tried.lose_answer()
    await tried.messages.mark_announced(kept)
    marked = await tried.messages.keep(DeadLetterKind.QUARANTINE, digest, b"message", "why")
    assert marked == msgspec.structs.replace(kept, announced=True, version=marked.version)
    assert await tried.messages.message(marked) == b"message"
    assert marked in await tried.messages.kept(DeadLetterKind.QUARANTINE)


async def test_a_message_is_dropped_only_as_it_stands(tried: Tried) -> None:
    kept = await tried.messages.keep(DeadLetterKind.STUCK, uuid.uuid4().hex, b"message", "why")
    await tried.messages.mark_announced(kept)
    await tried.messages.drop(kept)
    (stands,) = [
        one for one in await tried.messages.kept(DeadLetterKind.STUCK) if one.digest == kept.digest
    ]
    await tried.messages.mark_announced(kept)
    tried.lose_answer()
    await tried.messages.drop(stands)
    assert await tried.messages.message(stands) is None
    await tried.messages.drop(stands)
    await tried.messages.mark_announced(stands)
    assert stands not in await tried.messages.kept(DeadLetterKind.STUCK)
