"""Messages that are delivered in vain, on real parts."""

import hashlib
from collections.abc import AsyncIterator

import pytest

from local.faults import Fault
from local.host import Host
from local.names import LEDGER_CONTAINER
from local.run_folder import RunFolder
from scoring.events.quarantine import TYPE
from tests.end_to_end.site import SECONDS, Event, Site, file_route, site
from tests.events.completion_events import check_quarantine_event

HOST_PACE = "0.003"  # a message comes back at once, one in the poison queue after 2 seconds


@pytest.fixture(scope="module")
async def running(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Site, Host]]:
    tmp = tmp_path_factory.mktemp("poison")
    async with (
        site(folder, tmp, [file_route("files")], ["files"]) as made,
        made.host(LANDFALL_HOST_PACE=HOST_PACE) as host,
    ):
        yield made, host


async def quarantined(made: Site, message: str) -> list[Event]:
    """Wait for the event of a message in quarantine; return all copies."""
    subject = f"/quarantine/{hashlib.sha256(message.encode()).hexdigest()}"

    def told() -> list[Event]:
        return [event for event in made.azure.topic.events if event["subject"] == subject]

    await made.azure.topic.until(lambda _: bool(told()), seconds=SECONDS)
    check_quarantine_event(told()[0])
    return told()


async def test_a_malformed_message_is_kept_and_announced_and_the_file_behind_it_is_scored(
    running: tuple[Site, Host],
) -> None:
    made, host = running
    path = "landing/files/behind.txt"
    await made.queue.send_message("no event")
    await made.drop(path)
    (event,) = await quarantined(made, "no event")
    kept = await made.ledger.download_blob(event["data"]["entry"])
    assert await kept.readall() == b"no event"
    assert (await made.event(path))["type"] == "Landfall.JobCompleted"
    await made.queue.send_message("no event")
    await host.until("Executed 'Functions.on_poison' .Succeeded", times=2)
    await host.run_by_hand("sweep")
    await host.until("Executed 'Functions.sweep' .Succeeded")
    assert len(await quarantined(made, "no event")) == 1


async def test_a_ledger_that_refuses_for_longer_than_the_queue_is_patient_loses_nothing(
    running: tuple[Site, Host],
) -> None:
    made, host = running
    before = len(_quarantine_events(made))
    paths = [f"landing/files/patient {number}.txt" for number in range(3)]
    made.azure.storage.blob_faults.add(
        Fault(kind="refuse", status=403, path=f"/{LEDGER_CONTAINER}/", times=-1)
    )
    for path in paths:
        await made.drop(path)
    await made.queue.send_message("no event either")
    failed = "Executed 'Functions.on_poison' .Failed"
    await host.until(failed, times=8)  # each of the four, and again
    made.azure.storage.blob_faults.forget()
    for path in paths:
        assert (await made.event(path))["type"] == "Landfall.JobCompleted"
    assert len(await quarantined(made, "no event either")) == 1
    for path in paths:
        assert len(made.events(path)) == len(made.batch_jobs("files", path)) == 1
    assert len(_quarantine_events(made)) == before + 1


def _quarantine_events(made: Site) -> list[Event]:
    return [event for event in made.azure.topic.events if event["type"] == TYPE]
