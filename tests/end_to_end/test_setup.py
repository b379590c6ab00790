"""Routes and a workspace that are not in order when a host starts, or not as they were."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.faults import Fault
from local.names import DATASTORE
from local.run_folder import RunFolder
from tests.end_to_end.site import Site, file_route, site

ONE = file_route("one").replace('"unlimited"', "1")
TWIN = file_route("files").replace('name = "files"', 'name = "twin"')


@pytest.fixture
async def made(folder: RunFolder, tmp_path: Path) -> AsyncIterator[Site]:
    """A site without a host."""
    async with site(folder, tmp_path, [file_route("files")], ["files", "one"]) as fresh:
        yield fresh


def deploy(made: Site, *routes: str) -> None:
    """Let the hosts that start from now on have these routes."""
    (made.app / "routes.toml").write_text("\n".join(routes))


async def test_routes_that_cannot_work_are_named_and_the_others_each_score_what_they_match(
    made: Site,
) -> None:
    broken = file_route("broken").replace('"unlimited"', "0")
    lost = file_route("lost").replace(DATASTORE, "lost")
    deploy(made, broken, lost, file_route("files"), TWIN)
    path = "landing/files/a.txt"
    async with made.host() as host:
        await made.drop(path)
        await made.event(path, count=2)
        await host.until("route-broken route=broken .*max_active")
        await host.until("route-broken route=lost .*no datastore 'lost'")
    events = made.events(path)
    assert {(event["type"], event["data"]["route"]) for event in events} == {
        ("Landfall.JobCompleted", "files"),
        ("Landfall.JobCompleted", "twin"),
    }
    names = {job.name for job in made.batch_jobs("files", path)}
    assert {event["data"]["batchJob"] for event in events} == names


async def test_jobs_of_a_route_that_is_removed_end_within_its_limit(made: Site) -> None:
    deploy(made, ONE, file_route("files"))
    paths = [f"landing/one/{number}.txt" for number in range(3)]
    async with made.held("one"):
        async with made.host() as host:
            await asyncio.gather(*map(made.drop, paths))
            await host.until("claimed job=.* route=one", times=3)
            await made.submitted("one", "landing/one/")
        deploy(made, file_route("files"))
        async with made.host() as host:
            await made.drop("landing/one/too late.txt")
            await host.until("ignored path=.*too late.txt.* reason=no-route")
            made.azure.azureml.resume()
            events = [await made.event(path) for path in paths]
    assert {event["type"] for event in events} == {"Landfall.JobCompleted"}
    assert made.most_at_once("one") == 1


async def test_while_arm_is_down_at_a_cold_start_files_wait_unless_its_last_answer_is_known(
    made: Site,
) -> None:
    down = Fault(kind="refuse", path="/subscriptions/", times=-1)
    made.azure.azureml.faults.add(down)
    async with made.host(LANDFALL_HOST_PACE="0.1") as host:  # tries a message for 30 seconds
        await made.drop("landing/files/waits.txt")
        await host.until("Executed 'Functions.on_landing' .Failed")
        made.azure.azureml.faults.forget()
        waited = await made.event("landing/files/waits.txt")
    made.azure.azureml.faults.add(down)
    async with made.host() as host:
        await made.drop("landing/files/known.txt")
        known = await made.event("landing/files/known.txt")
        await host.until("last-answer-used what=datastores")
        await host.until("last-answer-used what=.endpoint files")
    for event in (waited, known):
        assert event["type"] == "Landfall.JobCompleted"
        assert event["data"]["attempt"] == 1
    assert len(made.batch_jobs("files")) == len(made.azure.topic.events) == 2
