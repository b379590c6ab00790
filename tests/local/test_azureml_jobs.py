"""The states of a batch job, plans, switches and faults."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import azureml
from local.azureml import Plan
from local.faults import Fault, Faults
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.endpoints import endpoints
from tests.local.site import (
    SECONDS,
    Site,
    opened,
    pids_in,
    pids_script,
    running,
    until_ended,
)


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        await made.put(**{"in/a": "1"})
        yield made


async def test_a_job_goes_through_the_states_to_its_end(site: Site) -> None:
    seen: list[str] = []

    def record(jobs: list[Any]) -> bool:
        seen.extend(job.status for job in jobs)
        return bool(jobs) and jobs[0].ended

    site.ml.step_seconds = 0.01
    watching = asyncio.create_task(site.ml.until(record, seconds=SECONDS))
    name = await site.invoke("rows")
    await watching
    states = ["NotStarted", "Preparing", "Queued", "Running", "Finalizing", "Completed"]
    assert list(dict.fromkeys(seen)) == states
    assert (await site.shown("rows", name))["status"] == "Completed"
    assert "error" not in await site.shown("rows", name)


async def test_no_more_jobs_run_than_there_are_processors(site: Site) -> None:
    processors = site.ml.lifecycle._processors
    for _ in range(os.cpu_count() or 1):
        assert not processors.locked()
        await processors.acquire()
    name = await site.invoke("rows")
    await site.until(name, "Queued")
    await run_tasks()
    assert (await site.shown("rows", name))["status"] == "Queued"
    processors.release()
    assert (await site.end(name)).status == "Completed"


async def run_tasks() -> None:
    """Let the tasks of the jobs run, in case one does something that it must not."""
    for _ in range(20):
        await asyncio.sleep(0)


# --- plans --------------------------------------------------------------------------------------


async def test_a_job_can_be_planned_to_fail(site: Site) -> None:
    site.ml.plan(Plan(status="Failed", message="the cluster is gone"))
    planned, other = [await site.end(await site.invoke("rows")) for _ in range(2)]
    shown = await site.shown("rows", planned.name)
    assert (shown["status"], other.status) == ("Failed", "Completed")
    assert shown["error"]["error"]["message"] == "the cluster is gone"


async def test_a_job_can_be_planned_to_complete_without_output(site: Site) -> None:
    site.ml.plan(Plan(status="Completed"))
    assert (await site.run("rows")).status == "Completed"
    assert await site.get("out.csv") is None


@pytest.mark.parametrize(
    "state", ["NotStarted", "Queued", "Running", "Finalizing", "NotResponding", "New"]
)
async def test_a_job_can_be_planned_to_stay_in_any_state_until_it_is_resumed(
    state: str, site: Site
) -> None:
    site.ml.plan(Plan(status=state))
    name = await site.invoke("rows")
    await site.until(name, state)
    await run_tasks()
    assert (await site.shown("rows", name))["status"] == state
    site.ml.resume(name)
    assert (await site.end(name)).status == "Completed"


async def test_a_job_can_be_planned_to_ignore_a_cancel(site: Site) -> None:
    site.ml.plan(Plan(status="CancelRequested"))
    name = await site.invoke("rows")
    await site.until(name, "CancelRequested")
    assert (await site.arm("POST", f"jobs/{name}/cancel")).status_code == 202
    site.ml.resume(name)
    assert (await site.end(name)).status == "Completed"


async def test_a_job_that_stays_in_a_state_can_be_cancelled(site: Site) -> None:
    site.ml.plan(Plan(status="Running"))
    name = await site.invoke("rows")
    await site.until(name, "Running")
    await site.arm("POST", f"jobs/{name}/cancel")
    assert (await site.end(name)).status == "Canceled"


async def test_a_job_can_disappear_and_come_back(site: Site) -> None:
    site.ml.plan(Plan(gone=True))
    name = await site.invoke("rows")
    url = f"{site.ml.scoring_uri('rows')}/{name}"
    lost = await site.ml_request("GET", url)
    cancel = await site.arm("POST", f"jobs/{name}/cancel")
    site.ml.resume(name)
    assert (lost.status_code, cancel.status_code) == (404, 404)
    assert (await site.ml_request("GET", url)).status_code == 200


async def test_a_plan_is_for_the_jobs_that_match(site: Site) -> None:
    await site.put(other="1")
    site.ml.plan(Plan(status="Failed", match="^rows .*/other$", times=-1))
    ends = [
        (await site.run("rows", path, kind="UriFile", OutputData={})).status
        for path in ("in/a", "other", "other")
    ]
    assert ends == ["Completed", "Failed", "Failed"]


async def test_resuming_everything_drops_the_plans(site: Site) -> None:
    site.ml.plan(Plan(status="Queued", hidden=True, times=-1))
    names = [await site.invoke("rows", OutputData=None) for _ in range(2)]
    for name in names:
        await site.until(name, "Queued")
    assert site.ml.hidden == set(names)
    site.ml.resume()
    jobs = [await site.end(name) for name in [*names, await site.invoke("rows")]]
    assert {job.status for job in jobs} == {"Completed"}
    assert site.ml.hidden == set()


async def test_nothing_runs_while_jobs_are_paused(site: Site) -> None:
    site.ml.paused = True
    name = await site.invoke("rows")
    await site.until(name, "Queued")
    await run_tasks()
    assert (await site.shown("rows", name))["status"] == "Queued"
    site.ml.paused = False
    assert (await site.end(name)).status == "Completed"


# --- from another process -----------------------------------------------------------------------


async def test_plans_and_switches_are_set_over_http(site: Site) -> None:
    admin = f"{site.ml.url}/_admin/"

    async def ask(name: str, body: Any) -> int:
        return (await site.client.post(admin + name, json=body)).status_code

    switches = {"paused": True, "page_size": 7, "decode_percent": True, "step_seconds": 0.5}
    assert await ask("switches", switches) == 204
    assert await ask("plan", {"status": "Failed", "hidden": True}) == 201
    name = await site.invoke("rows")
    jobs = (await site.client.get(f"{admin}jobs")).json()
    assert [(job["name"], job["status"]) for job in jobs] == [(name, "NotStarted")]
    assert {switch: getattr(site.ml, switch) for switch in switches} == switches
    assert site.ml.hidden == {name}
    assert await ask("hidden", ["another"]) == 204
    assert site.ml.hidden == {"another"}
    assert await ask("resume", {"job": name}) == 204
    assert await ask("switches", {"paused": False, "step_seconds": 0}) == 204
    assert (await site.end(name)).status == "Failed"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("plan", {"colour": "red"}),
        ("plan", {"match": "("}),
        ("resume", {"job": "none"}),
        ("hidden", "all"),
        ("switches", {"page_size": 0}),
    ],
)
async def test_a_wrong_request_to_an_admin_path_is_refused(
    name: str, body: Any, site: Site
) -> None:
    answer = await site.client.post(f"{site.ml.url}/_admin/{name}", json=body)
    assert (answer.status_code, answer.text[:15]) == (400, "not understood:")


# --- faults -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (Fault(kind="refuse", status=429, headers={"Retry-After": "3"}), 429, 0),
        (Fault(kind="error-after", status=503, headers={"Retry-After": "3"}), 503, 1),
        (Fault(kind="drop-after"), None, 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
async def test_a_fault_changes_the_answer_and_some_faults_prevent_the_work(
    fault: Fault, status: int | None, made: int, site: Site
) -> None:
    site.ml.faults.add(fault)
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFile", "Uri": site.uri("a")}}}}
    try:
        answer = await site.post("rows", body)
    except httpx.TransportError:
        assert status is None
    else:
        assert (answer.status_code, answer.headers["Retry-After"]) == (status, "3")
    assert len(site.ml.jobs) == made


async def test_faults_are_added_over_http(site: Site) -> None:
    fault = {"kind": "refuse", "path": "/endpoints/rows/jobs", "status": 500, "times": 1}
    assert (await site.client.post(f"{site.ml.url}/_faults", json=fault)).status_code == 201
    statuses = [
        (await site.ml_request("GET", site.ml.scoring_uri("rows"))).status_code for _ in range(2)
    ]
    assert statuses == [500, 200]


@pytest.fixture
def storage_faults(storage: Storage) -> Iterator[Faults]:
    yield storage.blob_faults
    storage.blob_faults.forget()


async def test_an_output_whose_answer_was_lost_is_recognized(
    site: Site, storage_faults: Faults
) -> None:
    """The client retries the request and finds its own blob."""
    lost = storage_faults.add(Fault(kind="error-after", method="PUT", path="out.csv"))
    assert (await site.run("rows")).status == "Completed"
    assert lost.met == 1
    assert await site.get("out.csv") == "a 1\n"


async def test_an_error_of_the_storage_fails_the_job(site: Site, storage_faults: Faults) -> None:
    storage_faults.add(Fault(kind="refuse", method="GET", path="in/a", status=403))
    job = await site.run("rows", "in/a", kind="UriFile")
    assert job.status == "Failed"
    assert job.message.startswith("storage: ")


# --- start and end ------------------------------------------------------------------------------


async def test_a_job_without_storage_says_how_to_start_it(
    folder: RunFolder, tmp_path: Path, storage: Storage
) -> None:
    alone = RunFolder(tmp_path / "alone")
    async with (
        azureml.start(alone, endpoints(), step_seconds=0) as ml,
        httpx.AsyncClient(verify=alone.client_tls()) as client,
    ):
        site = Site(ml, None, client, tmp_path)  # type: ignore[arg-type]
        failed = await site.run("rows")
        assert failed.status == "Failed"
        assert "start `python -m local storage`" in failed.message
        with alone.announced("storage", blob=storage.blob):
            alone.ca_file.write_bytes(
                folder.ca_file.read_bytes()
            )  # the authority of the storage's certificate
            assert "no files in the folder" in (await site.run("rows")).message


async def test_nothing_is_left_behind_at_the_end(
    folder: RunFolder, storage: Storage, tmp_path: Path
) -> None:
    async with opened(folder, storage, tmp_path) as site:
        await site.put(**{"in/a": "1"})
        name = await site.invoke(site.deploy(pids_script(tmp_path / "pids")))
        pids = await pids_in(tmp_path / "pids")
    await until_ended(pids)
    assert [path.suffix for path in (folder.path / "jobs").glob(f"{name}*")] == [".log"]
    assert "azureml" not in folder.addresses()


STARTER = """
import asyncio, json, pathlib, sys
from local import azureml
from local.azureml import scoring
from local.azureml.workspace import Deployment
from local.run_folder import RunFolder

async def main():
    folder, code = map(pathlib.Path, sys.argv[1:])
    folder.mkdir()
    work = scoring.Work(
        code=str(code), script="score.py", files=[], mini_batch_size=1, max_retries=0, timeout=1,
        error_threshold=0, output_action="append_row", output=str(folder), output_file_name="o",
        error=str(folder / "error"),
    )
    await scoring._run(work, Deployment(name="d", code=code, script="score.py"), folder)

asyncio.run(main())
"""


async def test_the_worker_and_its_children_end_when_the_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(pids_script(tmp_path / "pids"))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(tmp_path / "job"), str(tmp_path)
    )
    pids = await pids_in(tmp_path / "pids")
    assert [running(pid) for pid in pids] == [True, True]
    parent.kill()
    await parent.wait()
    await until_ended(pids)
