"""Two hosts, two polls, a topic that refuses, tokens that run out, URIs that are decoded."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.faults import Fault
from local.host import Host
from local.run_folder import RunFolder
from tests.end_to_end.site import NASTY_NAMES, SECONDS, Site, file_route, site


@pytest.fixture
async def made(folder: RunFolder, tmp_path: Path) -> AsyncIterator[Site]:
    """A site without a host."""
    async with site(folder, tmp_path, [file_route("files")], ["files"]) as fresh:
        yield fresh


async def poll_now(host: Host, times: int) -> None:
    """Run so many polls at once, beside the schedule, and wait for as many to end."""
    executed = "Executed 'Functions.poll' .Succeeded"
    before = sum(re.search(executed, line) is not None for line in host.lines)
    await asyncio.gather(*(host.run_by_hand("poll") for _ in range(times)))
    await host.until(executed, times=before + times)


async def test_polls_of_two_hosts_over_the_same_jobs_end_each_once(made: Site) -> None:
    paths = [f"landing/files/{number}.txt" for number in range(20)]
    async with made.host() as one, made.host("host-2") as other:
        async with made.held("files"):
            await asyncio.gather(*map(made.drop, paths))
            for path in paths:
                await made.submitted("files", path)
        async with asyncio.timeout(SECONDS):
            while not all(map(made.events, paths)):
                await asyncio.gather(poll_now(one, 3), poll_now(other, 3))
        events = [await made.event(path) for path in paths]
        for event in events:
            await made.operation(event["id"], "DeleteBlob open/")
    for path, event in zip(paths, events, strict=True):
        assert all(copy == event for copy in made.events(path))
    assert len(made.batch_jobs("files")) == 20


async def test_while_the_topic_refuses_azure_ml_is_not_asked_and_afterwards_all_events_come(
    made: Site,
) -> None:
    paths = [f"landing/files/{number}.txt" for number in range(3)]
    refusing = made.azure.topic.faults.add(Fault(kind="refuse", status=503, times=-1))
    async with made.host() as host:
        await asyncio.gather(*map(made.drop, paths))
        await host.until("completed job=", times=3)
        await host.until("not-announced", times=3)
        questions = made.azure.azureml.faults.add(
            Fault(kind="delay", method="GET", path="/endpoints/", times=-1)
        )
        seen = refusing.met
        await made.azure.topic.faults.until_met(refusing, seen + 12)
        assert questions.met == 0
        made.azure.topic.faults.forget()
        events = [await made.event(path) for path in paths]
    assert {event["type"] for event in events} == {"Landfall.JobCompleted"}


async def test_many_files_at_a_cold_start_need_one_token_for_each_service(made: Site) -> None:
    paths = [f"landing/files/{number}.txt" for number in range(10)]
    await asyncio.gather(*map(made.drop, paths))
    async with made.host():
        for path in paths:
            await made.event(path)
    requests = made.azure.identity.requests
    hosts_own = 2  # the host asks for each of its queues
    assert requests.pop("https://storage.azure.com") == 1 + hosts_own
    assert set(requests) == {
        "https://management.azure.com",
        "https://ml.azure.com",
        "https://eventgrid.azure.net",
    }
    assert set(requests.values()) == {1}, requests


async def test_a_host_goes_on_when_its_tokens_have_run_out(made: Site) -> None:
    """Azurite and the local services refuse an expired token."""
    made.azure.identity.lifetime = 2.0
    async with made.host() as host:
        for number in range(3):
            asked = made.azure.identity.requests.total()
            await made.drop(f"landing/files/{number}.txt")
            await made.event(f"landing/files/{number}.txt")
            async with asyncio.timeout(SECONDS):
                while made.azure.identity.requests.total() < asked + 2:
                    await poll_now(host, 1)
    assert made.azure.identity.requests["https://ml.azure.com"] >= 2


async def test_names_lead_to_their_files_where_percent_escapes_are_decoded(made: Site) -> None:
    """Whether the service does so is not documented: it is a setting."""
    made.azure.azureml.decode_percent = True
    paths = [f"landing/files/{name}" for name in NASTY_NAMES]
    async with made.host(LANDFALL_DATASTORE_URIS="percent-encoded"):
        await asyncio.gather(*(made.drop(path, b"12") for path in paths))
        events = [await made.event(path) for path in paths]
        outputs = [await made.output(event) for event in events]
    assert all(output.endswith(" 2\n") for output in outputs)
