"""From a dropped file to its completion event: nothing is faked."""

import asyncio
import collections
import json
import re

import pytest
from azure.storage.blob.aio import ContainerClient

from local.host import Host
from local.names import ACCOUNT_KEYS, CONTAINER
from tests.end_to_end.site import NASTY_NAMES, Site, app_operations, log_of, message_of


async def test_a_dropped_file_is_scored_and_announced(here: Site) -> None:
    metadata = {"Landfall_Order": "4711", "owner": "ward-3"}
    etag = await here.drop("landing/files/one.txt", b"12345", metadata=metadata)
    event = await here.event("landing/files/one.txt")
    assert event["type"] == "Landfall.JobCompleted"
    assert await here.output(event) == "one.txt 5\n"
    told = event["data"]["input"]
    assert (told["kind"], told["etag"], told["size"], told["overwritten"]) == (
        "file",
        etag,
        5,
        False,
    )
    assert event["data"]["correlation"] == {"Landfall_Order": "4711"}
    assert event["data"]["deployment"] == "files-1"
    assert event["data"]["output"]["verified"] is True
    (batch_job,) = here.batch_jobs("files", "landing/files/one.txt")
    assert event["data"]["batchJob"] == batch_job.name


async def test_the_log_tells_the_whole_way_of_a_file(here: Site, host: Host) -> None:
    path = "landing/files/told.txt"
    await here.drop(path)
    event = await here.event(path)
    await host.until(f"announced job={event['id']}")
    assert log_of(host, event) == ["claimed", "submitted", "completed", "announced"]
    (claimed,) = [line for line in host.lines if f"claimed job={event['id']}" in line]
    assert f"path={path}" in claimed


async def test_fifty_files_at_once_are_each_scored_once(here: Site) -> None:
    paths = [f"landing/files/many/{number}.txt" for number in range(50)]
    await asyncio.gather(*map(here.drop, paths))
    events = [await here.event(path) for path in paths]
    assert {event["type"] for event in events} == {"Landfall.JobCompleted"}
    assert len({event["data"]["output"]["uri"] for event in events}) == 50
    assert len(here.batch_jobs("files", "landing/files/many/")) == 50


async def test_a_folder_is_scored_when_its_marker_lands(here: Site) -> None:
    for name in ("a.txt", "b.txt"):
        await here.drop(f"landing/folders/batch/{name}", b"123")
    await here.drop("landing/folders/batch/nested/c.txt")
    assert here.batch_jobs("folders") == []
    await here.drop("landing/folders/batch.done", b"")
    event = await here.event("landing/folders/batch/")
    assert sorted((await here.output(event)).splitlines()) == ["a.txt 3", "b.txt 3"]
    assert (event["data"]["input"]["files"], event["data"]["input"]["size"]) == (2, 6)


async def test_the_marker_of_an_empty_folder_is_rejected(here: Site) -> None:
    await here.drop("landing/folders/nothing.done", b"")
    event = await here.event("landing/folders/nothing/")
    assert event["type"] == "Landfall.LandingRejected"
    assert event["data"]["reason"]["code"] == "folder-empty"


async def test_an_event_that_comes_three_times_and_much_later_again_makes_one_job(
    here: Site, host: Host
) -> None:
    path = "landing/files/thrice.txt"
    seen = await _messages_of(here, path, copies=3)
    event = await here.event(path)
    await host.until(f"duplicate job={event['id']} .*of=.open job.", times=2)
    await host.until(f"announced job={event['id']}")
    await here.queue.send_message(seen)
    await host.until(f"duplicate job={event['id']} .*of=.ended job.")
    assert len(here.batch_jobs("files", path)) == 1
    assert len(here.events(path)) == 1


async def _messages_of(here: Site, path: str, *, copies: int) -> str:
    """Drop a file whose event comes in so many copies; return the text of one."""
    await here.azure.storage.events.behave(copies=copies)
    etag = await here.drop(path)
    return message_of(path, etag)


async def test_events_in_reverse_order_score_the_version_that_stands_once(here: Site) -> None:
    path = "landing/files/reversed.txt"
    await here.azure.storage.events.behave(hold=True, order="reversed")
    old = await here.drop(path, b"1")
    new = await here.drop(path, b"22")
    await here.azure.storage.events.behave(hold=False)
    await here.event(path, count=2)
    ends = {event["data"]["input"]["etag"]: event["type"] for event in here.events(path)}
    assert ends == {old: "Landfall.LandingSuperseded", new: "Landfall.JobCompleted"}
    assert len(here.batch_jobs("files", path)) == 1


async def test_an_overwritten_file_whose_new_event_is_lost_is_scored_as_it_stands(
    here: Site,
) -> None:
    path = "landing/files/overwritten.txt"
    await here.azure.storage.events.behave(hold=True)
    await here.drop(path, b"1")
    await here.azure.storage.events.behave(drop=1)
    new = await here.drop(path, b"22")
    await here.azure.storage.events.behave(hold=False)
    await here.event(path, count=2)
    by_type = {event["type"]: event for event in here.events(path)}
    assert by_type["Landfall.JobCompleted"]["data"]["input"]["etag"] == new
    assert await here.output(by_type["Landfall.JobCompleted"]) == "overwritten.txt 2\n"


async def test_a_file_overwritten_while_its_job_runs_is_told_and_scored_again(here: Site) -> None:
    path = "landing/files/changed.txt"
    async with here.held("files"):
        old = await here.drop(path, b"1")
        await here.submitted("files", path)
        new = await here.drop(path, b"22")
        await here.submitted("files", path, count=2)
    await here.event(path, count=2)
    told = {
        event["data"]["input"]["etag"]: event["data"]["input"]["overwritten"]
        for event in here.events(path)
    }
    assert told == {old: True, new: False}


async def test_a_file_deleted_before_its_turn_is_rejected(here: Site) -> None:
    path = "landing/files/deleted.txt"
    await here.azure.storage.events.behave(hold=True)
    await here.drop(path)
    await here.landing.delete_blob(path)
    await here.azure.storage.events.behave(hold=False)
    assert (await here.event(path))["data"]["reason"]["code"] == "deleted"


async def test_an_empty_file_waits_for_its_content(running: tuple[Site, Host]) -> None:
    here, host = running
    path = "landing/files/filled-later.txt"
    await here.drop(path, b"")
    await host.until("reason=empty")
    await here.drop(path, b"12")
    events = [await here.event(path, count=number) for number in (1, 2)]
    assert {event["type"] for event in events} == {
        "Landfall.JobCompleted",
        "Landfall.LandingSuperseded",
    }


async def test_a_page_blob_is_rejected(here: Site) -> None:
    await here.drop("landing/files/pages.txt", b"0" * 512, blob_type="PageBlob")
    event = await here.event("landing/files/pages.txt")
    assert event["data"]["reason"]["code"] == "not-a-block-blob"


async def test_a_batch_job_that_queues_for_too_long_is_canceled_and_timed_out(here: Site) -> None:
    path = "landing/impatient/queued.txt"
    async with here.held("impatient"):
        await here.drop(path)
        event = await here.event(path)
    assert event["type"] == "Landfall.JobTimedOut"
    assert event["data"]["reason"]["code"] == "queue-timeout"
    (batch_job,) = here.batch_jobs("impatient", path)
    assert (batch_job.name, batch_job.status) == (event["data"]["batchJob"], "Canceled")


async def test_what_lies_at_an_output_already_fails_the_job_and_stays(here: Site) -> None:
    path = "landing/files/taken.txt"
    async with here.held("files"):
        await here.drop(path)
        batch_job = await here.submitted("files", path)
        taken = batch_job.output_uri.partition("/paths/")[2]
        await here.landing.upload_blob(taken, b"somebody's")
    event = await here.event(path)
    assert event["data"]["reason"]["code"] == "batch-job-failed"
    assert await here.output(event) == "somebody's"


async def test_a_failed_batch_job_is_tried_again_where_its_route_says_so(here: Site) -> None:
    path = "landing/again/fails.txt"
    await here.drop(path, b"fail: as asked")
    event = await here.event(path)
    assert event["type"] == "Landfall.JobFailed"
    assert "as asked" in event["data"]["reason"]["message"]
    assert event["data"]["attempt"] == 2
    assert len({job.output_uri for job in here.batch_jobs("again", path)}) == 2
    output = event["data"]["output"]["uri"].partition("/paths/")[2]
    receipt = await here.landing.download_blob(f"{output}.receipt.json")
    assert json.loads(await receipt.readall()) == event["data"]


@pytest.mark.parametrize(
    ("name", "content", "output"),
    [("fails.txt", b"fail: as asked", ""), ("empty.txt", b"", "empty.txt 0\n")],
)
async def test_a_batch_job_does_what_its_route_says_otherwise_than_the_deployment(
    here: Site, name: str, content: bytes, output: str
) -> None:
    await here.drop(f"landing/lenient/{name}", content)
    event = await here.event(f"landing/lenient/{name}")
    assert event["type"] == "Landfall.JobCompleted"
    assert await here.output(event) == output


async def test_input_and_output_are_called_what_the_route_calls_them(here: Site) -> None:
    await here.drop("landing/named/a.txt", b"12")
    assert await here.output(await here.event("landing/named/a.txt")) == "a.txt 2\n"
    (batch_job,) = here.batch_jobs("named")
    assert (batch_job.input_name, batch_job.output_name) == ("numbers", "rows")


@pytest.fixture(scope="module")
async def nasty(running: tuple[Site, Host]) -> Site:
    """The site with a file of each name: they wait for poll together."""
    made, _ = running
    await asyncio.gather(*(made.drop(f"landing/files/{name}", b"12") for name in NASTY_NAMES))
    return made


@pytest.mark.parametrize("name", NASTY_NAMES)
async def test_a_file_of_any_name_is_scored(nasty: Site, name: str) -> None:
    event = await nasty.event(f"landing/files/{name}")
    assert event["type"] == "Landfall.JobCompleted"
    assert (await nasty.output(event)).endswith(" 2\n")


async def test_a_file_costs_nine_storage_operations_and_is_never_read(
    here: Site, host: Host
) -> None:
    path = "landing/files/counted.txt"
    await here.drop(path)
    event = await here.event(path)
    await host.until(f"announced job={event['id']}")
    await here.operation(event["id"], "DeleteBlob open/")
    operations = collections.Counter(app_operations(here, event["id"], path))
    assert operations == {
        "PutBlob open/": 1,
        "GetBlob done/": 1,
        "GetBlobProperties landing/": 2,
        "SetBlobMetadata open/": 1,
        "GetBlob open/": 1,
        "GetBlobProperties scored/": 1,
        "PutBlob done/": 1,
        "DeleteBlob open/": 1,
    }
    assert operations.total() == 9


async def test_a_duplicate_costs_two_storage_operations_while_its_job_is_open_and_four_after(
    here: Site, host: Host
) -> None:
    path = "landing/files/doubled.txt"
    async with here.held("files"):
        message = await _messages_of(here, path, copies=1)
        batch_job = await here.submitted("files", path)
        key = batch_job.output_uri.rpartition("-")[2].partition("/")[0]
        await here.operation(key, "SetBlobMetadata open/")
        before = app_operations(here, key, path)
        await here.queue.send_message(message)
        await host.until(f"duplicate job={key}")
        assert len(app_operations(here, key, path)) - len(before) == 2
    await here.event(path)
    await here.operation(key, "DeleteBlob open/")
    before = app_operations(here, key, path)
    await here.queue.send_message(message)
    await host.until(f"duplicate job={key} .*of=.ended job.")
    await here.operation(key, "DeleteBlob open/", times=2)
    assert len(app_operations(here, key, path)) - len(before) == 4


async def test_no_landed_blob_was_ever_read_and_no_secret_ever_told(here: Site, host: Host) -> None:
    path = "landing/files/last.txt"
    async with here.held("files"):  # so that its entry stays where it is while it is read
        await here.drop(path)
        key = (await here.submitted("files", path)).description.split("-")[1]
        await here.operation(key, "SetBlobMetadata open/")
        ledger = await _texts(here.ledger, f"open/{key}")
    await here.event(path)
    ledger += await _texts(here.ledger, "done/") + await _texts(here.ledger, "control/")
    reads = [
        operation
        for operation in here.azure.storage.operations.log
        if (operation.actor, operation.operation, operation.container)
        == ("landfall", "GetBlob", CONTAINER)
    ]
    assert reads == []
    told = "\n".join([*host.lines, *ledger, here.azure.topic.file.read_text()])
    assert f"open/{key}" in told
    assert f"done/{key}" in told
    assert re.search(r"eyJ[A-Za-z0-9_-]{10}", told) is None, "a token"
    for secret in (*ACCOUNT_KEYS.values(), here.azure.identity.header):
        assert secret not in told


async def _texts(container: ContainerClient, prefix: str) -> list[str]:
    """Return name, metadata and body of each blob whose name begins so."""
    return [
        f"{blob.name} {blob.metadata} "
        + bytes(await (await container.download_blob(blob.name)).readall()).decode()
        async for blob in container.list_blobs(prefix, include=["metadata"])
    ]
