"""What a `Marks` promises, held by the model and by the real one on Azurite."""

import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from local.storage import Storage
from scoring.azure.ledger.marks import BlobMarks
from scoring.jobs.marks import SweepMark
from scoring.ports import Marks
from tests.azure.containers import container
from tests.fakes import Clock, FakeMarks


@pytest.fixture(params=["model", "azurite"])
async def marks(request: pytest.FixtureRequest, storage: Storage) -> AsyncIterator[Marks]:
    if request.param == "model":
        yield FakeMarks(Clock())
        return
    async with container(storage) as blobs:
        yield BlobMarks(blobs)


async def test_of_two_polls_the_first_leaves_its_mark(marks: Marks) -> None:
    before = await marks.poll_mark()
    await marks.leave_poll_mark(msgspec.structs.replace(before, cursor="first"))
    await marks.leave_poll_mark(msgspec.structs.replace(before, cursor="second"))
    assert (await marks.poll_mark()).cursor == "first"


async def test_of_two_sweeps_of_a_route_the_first_leaves_its_mark(marks: Marks) -> None:
    route = f"r{uuid.uuid4().hex}"
    before, now = await marks.sweep_mark(route)
    assert before == SweepMark()
    first = msgspec.structs.replace(before, watermark=now, oldest_left=now, place="there")
    await marks.leave_sweep_mark(route, first)
    await marks.leave_sweep_mark(route, msgspec.structs.replace(first, place="second"))
    current, _ = await marks.sweep_mark(route)
    assert msgspec.structs.replace(current, version=None) == first
    await marks.leave_sweep_mark(route, msgspec.structs.replace(current, place=""))
    assert (await marks.sweep_mark(route))[0].place == ""
    assert (await marks.sweep_mark("another"))[0] == SweepMark()
