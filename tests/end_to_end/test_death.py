"""The host is killed at each step of the life of a job; another one finishes it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from local.faults import Fault, Faults
from local.host import Host
from local.run_folder import RunFolder
from tests.end_to_end.site import Site, file_route, site

PACE = "0.006"  # a minute takes 0.36 seconds
HOST_PACE = "0.003"  # a message that a killed host held comes back after 2 seconds

Part = Literal["blobs", "azureml", "topic"]
When = Literal["before", "after"]

STEPS: dict[str, tuple[Part, str, str]] = {
    "claim": ("blobs", "PUT", "/open/"),
    "look in done": ("blobs", "GET", "/done/"),
    "look at the file": ("blobs", "HEAD", "/landing/"),
    "submit": ("azureml", "POST", "/endpoints/files/jobs"),
    "record": ("blobs", "PUT", "/open/.*comp=metadata"),
    "ask": ("azureml", "GET", "/endpoints/files/jobs/"),
    "read the job": ("blobs", "GET", "/open/"),
    "look at the output": ("blobs", "HEAD", "/scored/"),
    "conclude": ("blobs", "PUT", "/done/"),
    "publish": ("topic", "POST", "/api/events"),
    "forget": ("blobs", "DELETE", "/open/"),
}
CHANGES = ("claim", "submit", "record", "conclude", "publish", "forget")
DEATHS: list[tuple[str, When]] = [
    *((step, "before") for step in STEPS),
    *((step, "after") for step in CHANGES),
]


class Succession:
    """One host at a time: when one is killed, the next begins."""

    def __init__(self, made: Site) -> None:
        self.site = made
        self._ends = contextlib.AsyncExitStack()
        self.host: Host

    async def begin(self) -> None:
        self.host = await self._ends.enter_async_context(
            self.site.host(LANDFALL_PACE=PACE, LANDFALL_HOST_PACE=HOST_PACE)
        )

    async def end(self) -> None:
        await self._ends.aclose()


@pytest.fixture(scope="module")
async def succession(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Succession]:
    tmp = tmp_path_factory.mktemp("death")
    async with site(folder, tmp, [file_route("files")], ["files"]) as made:
        hosts = Succession(made)
        await hosts.begin()
        yield hosts
        await hosts.end()


def faults_of(made: Site, part: Part) -> Faults:
    return {
        "blobs": made.azure.storage.blob_faults,
        "azureml": made.azure.azureml.faults,
        "topic": made.azure.topic.faults,
    }[part]


@pytest.mark.parametrize(("step", "when"), DEATHS, ids=lambda word: word.replace(" ", "-"))
async def test_a_job_survives_the_death_of_its_host(
    succession: Succession, step: str, when: When
) -> None:
    made = succession.site
    path = f"landing/files/{step} {when}.txt"
    part, method, where = STEPS[step]
    faults = faults_of(made, part)
    kind: Literal["hang-before", "hang-after"] = f"hang-{when}"  # type: ignore[assignment]
    fault = faults.add(Fault(kind=kind, method=method, path=where))
    await made.drop(path)
    await faults.until_met(fault)
    await succession.host.kill()
    faults.forget()
    await succession.begin()

    event = await made.event(path)
    await made.operation(event["id"], "DeleteBlob open/")
    assert event["type"] == "Landfall.JobCompleted"
    assert all(copy == event for copy in made.events(path))
    assert await made.output(event) == f"{step} {when}.txt 1\n"
    (batch_job,) = made.batch_jobs("files", path)
    assert event["data"]["batchJob"] == batch_job.name
