"""What the ledger keeps of folders: one suite over the reference model and over Azurite."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from local.faults import Fault
from local.storage import Storage
from scoring.azure.ledger.folders import BlobFolders
from scoring.jobs.folders import FolderMark
from scoring.jobs.job import Folder
from scoring.ports import Folders
from scoring.routes.route import Ready
from tests.azure.containers import container
from tests.factories import place, quiet_route
from tests.fakes import Clock, FakeFolders

HOUR = timedelta(hours=1)


@pytest.fixture(params=["model", "azurite"])
async def folders(request: pytest.FixtureRequest, storage: Storage) -> AsyncIterator[Folders]:
    if request.param == "model":
        yield FakeFolders(Clock())
        return
    async with container(storage) as ledger:
        yield BlobFolders(ledger)


def a_folder() -> Folder:
    return Folder(route=quiet_route(), place=place(), path=f"landing/{uuid.uuid4().hex}")


async def stands(folders: Folders, folder: Folder) -> FolderMark | None:
    marks = (await folders.filling()).marks
    return next((mark for mark in marks if mark.key == folder.key), None)


async def test_the_first_touch_makes_a_mark_that_knows_its_folder(folders: Folders) -> None:
    folder = a_folder()
    mark = await folders.touch(folder, None)
    assert await stands(folders, folder) == mark
    assert (mark.since, mark.quiet, mark.at_most) == (mark.changed, HOUR / 12, HOUR)
    assert await folders.folder(folder.key) == folder
    assert mark.changed <= (await folders.filling()).now


async def test_a_folder_without_a_mark_is_none(folders: Folders) -> None:
    assert await folders.folder(a_folder().key) is None


@pytest.mark.parametrize("knowing", [False, True])
async def test_each_touch_changes_the_mark_and_keeps_since(
    folders: Folders, *, knowing: bool
) -> None:
    folder = a_folder()
    first = await folders.touch(folder, None)
    second = await folders.touch(folder, first if knowing else None)
    third = await folders.touch(folder, second if knowing else None)
    assert len({first.version, second.version, third.version}) == 3
    assert first.since == second.since == third.since
    assert await stands(folders, folder) == third


async def test_a_touch_that_knows_an_old_mark_changes_the_one_that_stands(
    folders: Folders,
) -> None:
    folder = a_folder()
    old = await folders.touch(folder, None)
    newer = await folders.touch(folder, old)
    newest = await folders.touch(folder, old)
    assert newest.version not in {old.version, newer.version}
    assert await stands(folders, folder) == newest


async def test_a_touch_of_a_mark_that_is_gone_makes_another(folders: Folders) -> None:
    folder = a_folder()
    known = await folders.touch(folder, None)
    await folders.drop_mark(known)
    assert await stands(folders, folder) is None
    mark = await folders.touch(folder, known)
    assert await stands(folders, folder) == mark


async def test_a_touch_lengthens_what_the_mark_says_and_never_shortens_it(folders: Folders) -> None:
    folder = a_folder()
    longer = Ready(quiet=HOUR, at_most=3 * HOUR)
    changed = msgspec.structs.replace(folder.route, ready=longer)
    first = await folders.touch(folder, None)
    second = await folders.touch(msgspec.structs.replace(folder, route=changed), first)
    third = await folders.touch(folder, second)
    assert (second.quiet, second.at_most) == (third.quiet, third.at_most) == (HOUR, 3 * HOUR)
    assert await stands(folders, folder) == third


async def test_touches_at_once_all_succeed(folders: Folders) -> None:
    folder = a_folder()
    known = await folders.touch(folder, None)
    touched = await asyncio.gather(*(folders.touch(folder, known) for _ in range(8)))
    assert all(mark.version != known.version for mark in touched)


async def test_a_mark_that_was_touched_is_not_deleted(folders: Folders) -> None:
    folder = a_folder()
    seen = await folders.touch(folder, None)
    touched = await folders.touch(folder, seen)
    await folders.drop_mark(seen)
    assert await stands(folders, folder) == touched


async def test_at_most_counts_anew_whoever_touched_the_mark_meanwhile(folders: Folders) -> None:
    folder = a_folder()
    seen = await folders.touch(folder, None)
    await folders.touch(folder, seen)
    await folders.count_anew(seen, seen.since + HOUR)
    mark = await stands(folders, folder)
    assert mark is not None
    assert mark.since == seen.since + HOUR
    assert (await folders.touch(folder, mark)).since == mark.since


async def test_counting_anew_makes_no_mark_that_is_gone(folders: Folders) -> None:
    folder = a_folder()
    seen = await folders.touch(folder, None)
    await folders.drop_mark(seen)
    await folders.count_anew(seen, seen.since + HOUR)
    assert await stands(folders, folder) is None


async def test_of_two_that_take_a_turn_one_gets_it(folders: Folders) -> None:
    key = a_folder().key
    assert await folders.cooldown(key) is None
    assert await folders.start_cooldown(key, "landfall-a-1", None)
    assert not await folders.start_cooldown(key, "landfall-b-1", None)
    last = await folders.cooldown(key)
    assert last is not None
    assert last.tag == "landfall-a-1"
    assert await folders.start_cooldown(key, "landfall-c-1", last)
    assert not await folders.start_cooldown(key, "landfall-b-1", last)


async def test_a_client_that_conflicts_with_itself_is_not_misled(storage: Storage) -> None:
    folder = a_folder()
    async with container(storage) as ledger:
        folders = BlobFolders(ledger)
        for known in (None, None):
            storage.blob_faults.pending.append(Fault(kind="drop-after", method="PUT"))
            mark = await folders.touch(folder, known)
            assert await stands(folders, folder) == mark
        storage.blob_faults.pending.append(Fault(kind="drop-after", method="PUT"))
        assert await folders.start_cooldown(folder.key, "landfall-a-1", None)
        storage.blob_faults.pending.append(Fault(kind="drop-after", method="PUT"))
        last = await folders.cooldown(folder.key)
        assert await folders.start_cooldown(folder.key, "landfall-b-1", last)
        storage.blob_faults.pending.append(Fault(kind="drop-after", method="DELETE"))
        await folders.drop_mark(mark)
        assert await stands(folders, folder) is None
    assert all(fault.met == 1 for fault in storage.blob_faults.pending)
    storage.blob_faults.pending.clear()


async def test_a_touch_costs_one_operation_if_nobody_else_touches(storage: Storage) -> None:
    folder = a_folder()
    async with container(storage) as ledger:
        folders = BlobFolders(ledger)
        before = len(storage.operations.log)
        mark: FolderMark | None = None
        for _ in range(5):
            mark = await folders.touch(folder, mark)
    assert len(storage.operations.log) - before == 5
