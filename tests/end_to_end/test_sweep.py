"""Files whose events are lost altogether, on real parts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.run_folder import RunFolder
from tests.end_to_end.site import SECONDS, Site, file_route, folder_route, site

PACE = "0.01"  # a sweep leaves alone what is younger than 3 seconds


@pytest.fixture
async def made(folder: RunFolder, tmp_path: Path) -> AsyncIterator[Site]:
    """A site without a host."""
    routes = [file_route("files"), folder_route("folders")]
    async with site(folder, tmp_path, routes, ["files", "folders"]) as fresh:
        yield fresh


async def test_files_whose_events_are_lost_are_found_and_scored_once(made: Site) -> None:
    lost = [f"landing/files/lost {number}.txt" for number in range(5)]
    async with made.host(LANDFALL_PACE=PACE) as host:
        await made.azure.storage.events.behave(drop=8)
        for path in lost:
            await made.drop(path)
        await made.drop("landing/folders/b/1.txt")
        await made.drop("landing/folders/b/2.txt")
        await made.drop("landing/folders/b.done", b"")
        await made.drop("landing/files/told.txt")
        done = "Executed 'Functions.sweep' .Succeeded"
        sweeps = 0
        async with asyncio.timeout(SECONDS):
            while not all(map(made.events, [*lost, "landing/folders/b/"])):
                sweeps += 1
                await host.run_by_hand("sweep")
                await host.until(done, times=sweeps)
        await made.event("landing/files/told.txt")
        for _ in range(2):
            sweeps += 1
            await host.run_by_hand("sweep")
            await host.until(done, times=sweeps)
    assert len(made.batch_jobs("files")) == 6
    assert len(made.batch_jobs("folders")) == 1
    for path in [*lost, "landing/folders/b/"]:
        assert (await made.event(path))["type"] == "Landfall.JobCompleted"
        assert len(made.events(path)) == 1
