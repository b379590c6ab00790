"""Events that do not say all about a landing, or not the truth: the blob itself is looked at."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import SetupError, Unavailable
from scoring.jobs.blobs import Blob
from scoring.routes.route import Ready, Route
from scoring.use_cases import on_landing
from tests.factories import created, folder_route, quiet_route, route
from tests.fakes import World

HEART = route(name="heart", match="landing/heart/**", receipt=True)
FILE = "landing/heart/a.csv"


def message(world: World, blob: Blob, *, without: str = "", **data: Any) -> bytes:
    """Return the event of a blob with other data, without a field."""
    event = created(world.landing(blob))
    event["data"] = {
        name: value for name, value in {**event["data"], **data}.items() if name != without
    }
    event.pop(without, None)
    return json.dumps(event).encode()


async def arrive(world: World, path: str = FILE, **data: Any) -> Blob:
    """Let a file of 4,096 bytes land, and its event arrive."""
    blob = world.storage.put(path, size=4096)
    await on_landing.on_landing(world.services, message(world, blob, **data))
    return blob


async def end(world: World) -> dict[str, Any]:
    """Let the one batch job complete; return the event's data."""
    await world.tick()
    world.complete("batchjob-1")
    await world.ticks(timedelta(minutes=1))
    (event,) = world.publisher.events
    data: dict[str, Any] = event["data"]
    return data


# --- what it leaves out -------------------------------------------------------------------------


@pytest.mark.parametrize("without", ["eTag", "time", "contentLength", "url"])
async def test_what_an_event_leaves_out_the_blob_tells(without: str) -> None:
    world = World(HEART)
    blob = await arrive(world, without=without)
    data = await end(world)
    assert (data["input"]["etag"], data["input"]["size"]) == (blob.etag, 4096)
    assert data["times"]["landed"] == blob.modified.isoformat().replace("+00:00", "Z")


async def test_an_event_that_leaves_something_out_makes_the_same_job_as_one_that_does_not() -> None:
    world = World(HEART)
    blob = await arrive(world, without="eTag")
    await on_landing.on_landing(world.services, message(world, blob))
    await on_landing.on_landing(world.services, message(world, blob, without="time"))
    assert len(world.endpoints.submissions) == 1


async def test_what_no_route_watches_is_not_looked_at() -> None:
    world = World(HEART)
    operations = world.operations()
    await arrive(world, "elsewhere/a.csv", without="eTag")
    assert not operations


async def test_an_event_that_says_enough_is_believed_until_the_job_looks() -> None:
    world = World(HEART)
    operations = world.operations()
    await arrive(world)
    assert operations["blob"] == 1


@pytest.mark.parametrize("without", ["eTag", "time"])
async def test_what_was_deleted_before_it_could_be_looked_at_is_ignored(
    without: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World(HEART)
    blob = world.storage.put(FILE)
    told = message(world, blob, without=without)
    del world.storage.blobs[FILE]
    await on_landing.on_landing(world.services, told)
    assert world.ledger.open == {}
    assert "reason=deleted" in caplog.text


@pytest.mark.parametrize("without", ["eTag", "time"])
async def test_what_may_not_be_looked_at_and_is_not_told_is_a_set_up(without: str) -> None:
    world = World(HEART)
    world.storage.forbidden.add(FILE)
    with pytest.raises(SetupError, match="may not look"):
        await arrive(world, without=without)


async def test_where_the_app_may_not_look_an_event_that_names_the_version_is_enough() -> None:
    world = World(HEART)
    world.storage.forbidden.add(FILE)
    blob = await arrive(world, contentLength=0)
    (submission,) = world.endpoints.submissions
    assert submission.input_uri.endswith(FILE)
    assert [job.landing.etag for job, _ in world.ledger.open.values()] == [blob.etag]


@pytest.mark.parametrize(
    ("failure", "claimed"), [(Unavailable("503"), 0), (SetupError("401"), 1)], ids=["503", "401"]
)
async def test_a_look_that_fails_is_waited_for_unless_waiting_is_in_vain(
    failure: Exception, claimed: int
) -> None:
    world = World(HEART)

    async def fail(*_: Any) -> Any:
        raise failure

    world.storage.blob = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(type(failure)):
        await arrive(world, without="eTag")
    assert world.ledger.open == {}
    with pytest.raises(type(failure)):  # if it is claimed, of the job's own look
        await arrive(world, contentLength=0)
    assert len(world.ledger.open) == claimed


# --- sizes --------------------------------------------------------------------------------------

ROUTES = [
    HEART,
    msgspec.structs.replace(HEART, max_active=1),
    msgspec.structs.replace(HEART, on_overwrite="ignore"),
]


@pytest.mark.parametrize("of", ROUTES, ids=["at once", "by poll", "on_overwrite = ignore"])
@pytest.mark.parametrize("said", [0, 7, None, "4096"])
async def test_event_and_receipt_say_the_size_that_was_seen(of: Route, said: object) -> None:
    """The documented event of a commit over SFTP says 0 of any file."""
    world = World(of)
    await arrive(world, api="SftpCommit", contentLength=said)
    data = await end(world)
    (written,) = world.storage.receipts.values()
    assert data["input"]["size"] == 4096
    assert json.loads(written)["input"]["size"] == 4096


async def test_the_size_of_another_version_is_not_taken_for_it() -> None:
    world = World(HEART)
    first = world.storage.put(FILE, size=10)
    told = message(world, first, contentLength=0)
    second = world.storage.put(FILE, size=4096)
    await on_landing.on_landing(world.services, told)
    data = end_of(world, first.etag)
    assert (data["status"], data["input"]["size"]) == ("superseded", 0)
    assert [job.landing.etag for job, _ in world.ledger.open.values()] == [second.etag]


def end_of(world: World, etag: str) -> dict[str, Any]:
    """Return the data of the event about a version."""
    found = [event["data"] for event in world.publisher.events]
    return next(data for data in found if data["input"]["etag"] == etag)


async def test_a_size_that_nobody_could_see_is_the_events() -> None:
    world = World(HEART)
    world.storage.forbidden.add(FILE)
    await arrive(world, contentLength=7)
    assert (await end(world))["input"]["size"] == 7


# --- directories --------------------------------------------------------------------------------

PLACEHOLDERS = [
    ("landing/heart/new/", {}),
    ("landing/heart/new", {"hdi_isfolder": "true"}),
    ("landing/heart/new", {"Hdi_isfolder": "True"}),
    ("landing/heart/new.csv", {"HDI_ISFOLDER": "TRUE"}),
]


@pytest.mark.parametrize(("path", "metadata"), PLACEHOLDERS)
@pytest.mark.parametrize("said", [0, None])
async def test_what_only_stands_for_a_directory_is_ignored(
    path: str, metadata: dict[str, str], said: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World(HEART)
    blob = world.storage.put(path, size=0, metadata=metadata)
    await on_landing.on_landing(world.services, message(world, blob, contentLength=said))
    assert (world.ledger.open, world.publisher.published) == ({}, [])
    assert "reason=directory" in caplog.text
    await world.sweep()
    await world.sweep()
    assert (world.ledger.open, world.publisher.published) == ({}, [])


@pytest.mark.parametrize(("path", "metadata"), PLACEHOLDERS)
async def test_a_directory_in_a_folder_is_no_file_of_it(
    path: str, metadata: dict[str, str]
) -> None:
    """Else making a directory is taken for the first file, and the folder is rejected as empty."""
    world = World(quiet_route(match="landing/{batch}/*"))
    blob = world.storage.put(path, size=0, metadata=metadata)
    await on_landing.on_landing(world.services, message(world, blob))
    assert world.folders.marks == {}


async def test_a_directory_is_no_marker() -> None:
    world = World(folder_route(ready=Ready(marker="done/{batch}")))
    world.storage.put("landing/b1/1.png")
    marker = world.storage.put("done/b1", size=0, metadata={"Hdi_isfolder": "true"})
    await on_landing.on_landing(world.services, message(world, marker))
    assert world.ledger.open == {}


async def test_an_empty_marker_is_one() -> None:
    world = World(folder_route())
    world.storage.put("landing/b1/1.png")
    marker = world.storage.put("landing/b1.done", size=0)
    await on_landing.on_landing(world.services, message(world, marker))
    assert len(world.endpoints.submissions) == 1


# --- paths that are read as others --------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1])
async def test_a_marker_whose_folder_is_read_as_another_is_ignored_and_says_so(
    size: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World(folder_route(ready=Ready(marker="in/{batch}.done")))
    marker = world.storage.put("in/...done", size=size)
    await on_landing.on_landing(world.services, message(world, marker))
    assert world.ledger.open == {}
    assert "ignored path=in/...done container=c reason=dot-segment" in caplog.text


async def test_a_path_with_dots_is_ignored_and_never_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    world = World(HEART)
    operations = world.operations()
    await arrive(world, "landing/heart/../../secret/a.csv")
    assert not operations
    assert "reason=dot-segment" in caplog.text
    await world.sweep()
    assert world.ledger.open == {}
