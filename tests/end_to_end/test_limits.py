"""A route's limit, as the endpoint sees it, while two hosts poll at once and one of them dies."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from azure.core.exceptions import ResourceNotFoundError

from local.azureml import Plan
from local.faults import Fault
from local.host import Host
from local.names import DATASTORE
from local.run_folder import RunFolder
from tests.end_to_end.site import SECONDS, Site, message_of, site

FILES = 120
WAITING = 12  # files that have landed and not been scored
SETTINGS = {
    "LANDFALL_POLL_SECONDS": "30",  # poll runs by hand
    "LANDFALL_PACE": "0.02",  # an attempt that a dead host leaves behind is lost after 24 seconds
    "LANDFALL_HOST_PACE": "0.003",  # a message that it held comes back after 2 seconds
}
LANDED = datetime(2026, 11, 24, 12, tzinfo=UTC)
# Batch jobs without an output need not run anything, so their number is all that takes time.
ROUTE = f"""\
[[routes]]
name = "three"
datastore = "{DATASTORE}"
match = "landing/three/*"
input = "file"
endpoint = "three"
output_kind = "none"
max_active = 3
"""


async def keep_polling(made: Site, host: Host) -> None:
    """Let a host poll, one pass after the other, until it dies.

    Without its mark a pass asks about every batch job, however young it is.
    """
    with contextlib.suppress(aiohttp.ClientError, RuntimeError):
        passes = 0
        while True:
            with contextlib.suppress(ResourceNotFoundError):
                await made.ledger.delete_blob("control/poll")
            await host.run_by_hand("poll")
            passes += 1
            await host.until("Executed 'Functions.poll'", times=passes, seconds=SECONDS)


async def scored(made: Site, files: int) -> None:
    """Wait until the app has scored so many files."""
    await made.azure.topic.until(lambda events: len(events) >= files, seconds=SECONDS)


async def tell_the_latest_first(made: Site, paths: Sequence[str]) -> None:
    """Drop files, and tell of them so that whenever poll looks, another one is the oldest.

    Two polls that look at different times then do not choose the same ones.
    """
    await made.azure.storage.events.behave(drop=len(paths))
    for number, path in enumerate(paths):
        etag = await made.drop(path)
        landed = LANDED - timedelta(seconds=number)
        await scored(made, number - WAITING)
        await made.queue.send_message(message_of(path, etag, landed.isoformat()))


async def test_two_hosts_that_poll_at_once_keep_the_limit_also_when_one_is_killed(
    folder: RunFolder, tmp_path: Path
) -> None:
    paths = [f"landing/three/{number}.txt" for number in range(FILES)]
    async with (
        site(folder, tmp_path, [ROUTE], ["three"], step_seconds=0.1) as made,
        made.host(**SETTINGS) as one,
        made.host("host-2", **SETTINGS) as other,
    ):
        azureml = made.azure.azureml
        azureml.plan(Plan(status="Completed", times=-1))
        # The longer a poll takes from its look to its mark, the more the other one does meanwhile.
        made.azure.storage.blob_faults.add(
            Fault(kind="delay", method="PUT", path="/open/.*=metadata", seconds=0.1, times=-1)
        )
        polls = [asyncio.create_task(keep_polling(made, host)) for host in (one, other)]
        landings = asyncio.create_task(tell_the_latest_first(made, paths))
        await azureml.until(lambda jobs: len(jobs) >= FILES // 4, seconds=SECONDS)
        posts = "/endpoints/three/jobs$"
        azureml.faults.add(Fault(kind="hang-after", method="POST", path=posts))
        never_made = azureml.faults.add(Fault(kind="hang-before", method="POST", path=posts))
        await azureml.faults.until_met(never_made)
        await one.kill()
        events = [await made.event(path) for path in paths]
        await landings
        for poll in polls:
            poll.cancel()
    assert {event["type"] for event in events} == {"Landfall.JobCompleted"}
    assert {event["data"]["batchJob"] for event in events} == set(azureml.jobs)
    assert len(azureml.jobs) == len({event["id"] for event in made.azure.topic.events}) == FILES
    assert {event["data"]["attempt"] for event in events} == {1, 2}
    assert made.most_at_once("three") == 3
