"""`job show`, `wait`, `cancel`, `list`, `results`: of an endpoint's batch jobs."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from local.azure import Azure
from local.azureml import Plan
from local.azureml.jobs import BatchJob
from local.faults import Fault
from scoring.cli.azureml.job import results, waiting
from scoring.cli.azureml.job.commands import cancel, list_, show
from scoring.cli.azureml.job.commands import results as job_results
from scoring.cli.azureml.job.endpoint_jobs import EndpointJobs, endpoint_jobs
from scoring.cli.azureml.job.waiting import completed
from scoring.cli.backoff import Backoff
from scoring.cli.failures import Exit, JobFailed, Refused, UsageError
from scoring.cli.session import Session
from scoring.errors import Unavailable
from tests.cli.conftest import Commands, once
from tests.local.site import Site

BRISK = Backoff(first=0.02, longest=0.05)
Printed = Callable[[], Any]


@pytest.fixture
async def endpoint(site: Site) -> str:
    await site.put(**{"in/a.csv": "1", "in/b.csv": "2"})
    return site.deploy()


@pytest.fixture
def printed(session: Session, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What a command has printed for programs."""
    session.console.as_json = True
    return lambda: json.loads(capsys.readouterr().out)


async def held(site: Site, endpoint: str, **more: Any) -> str:
    """Make a batch job that stays queued."""
    site.ml.plan(Plan(status="Queued", match=f"^{endpoint} "))
    name = await site.invoke(endpoint, **more)
    await site.until(name, "Queued")
    return name


async def waited(session: Session, endpoint: str, name: str) -> list[str]:
    jobs = await endpoint_jobs(session, endpoint)
    ended = await completed(jobs, name, session.console, BRISK)
    return [state for state, _ in ended.states]


# --- show ---------------------------------------------------------------------------------------


async def test_a_batch_job_is_shown_with_what_concerns_it(
    session: Session, site: Site, endpoint: str, printed: Printed
) -> None:
    name = (await site.run(endpoint)).name
    await show(name, endpoint=endpoint, session=session)
    shown = printed()
    assert (shown["batch_job"], shown["state"]) == (name, "Completed")
    assert shown["inputs"] == [site.uri("in")]
    assert shown["outputs"] == [site.uri("out.csv")]
    assert shown["studio"].startswith("https://ml.azure.com/runs/")
    made = datetime.fromisoformat(shown["created"])
    assert made == site.ml.jobs[name].created


async def test_what_is_not_there_is_named(session: Session, endpoint: str) -> None:
    with pytest.raises(Refused, match="has no batch job nothing"):
        await show("nothing", endpoint=endpoint, session=session)
    with pytest.raises(Refused, match="no batch endpoint nowhere"):
        await show("nothing", endpoint="nowhere", session=session)


async def test_why_a_batch_job_failed_is_shown(command: Commands, site: Site) -> None:
    await site.put(**{"in/a.csv": "1"})
    endpoint = site.deploy("def init(): raise ValueError('no model')\ndef run(m): ...")
    name = (await site.run(endpoint)).name
    ended = await command("job", "show", name, "--endpoint", endpoint)
    assert ended.code == 0
    assert re.search(r"^state +Failed", ended.out, re.MULTILINE)
    assert "no model" in ended.out


async def test_a_secret_in_a_batch_job_is_not_shown(
    session: Session, site: Site, endpoint: str, printed: Printed
) -> None:
    """Others may have put one there."""
    name = (await site.run(endpoint)).name
    site.ml.jobs[name].input_uri = "https://a.blob.core.windows.net/c/f?sv=1&sig=geheim"
    await show(name, endpoint=endpoint, session=session)
    assert printed()["inputs"] == ["https://a.blob.core.windows.net/c/f?sv=1&sig=***"]


# --- wait ---------------------------------------------------------------------------------------


async def test_the_states_are_shown_until_the_end(
    session: Session, site: Site, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = await held(site, endpoint)
    waiting_ = asyncio.ensure_future(waited(session, endpoint, name))
    while "Queued" not in capsys.readouterr().err:  # noqa: ASYNC110 - there is no event for what is printed
        await asyncio.sleep(0.01)
    site.ml.resume()
    states = await waiting_
    assert states[0] == "Queued"
    assert states[-1] == "Completed"
    assert len(set(states)) == len(states)
    assert re.search(r"^Completed after \d+ s$", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
async def test_every_other_end_is_a_failure_with_its_reason(
    state: str, session: Session, site: Site, endpoint: str
) -> None:
    site.ml.plan(Plan(status=state, message="the nodes are gone", match=f"^{endpoint} "))
    name = await site.invoke(endpoint)
    with pytest.raises(JobFailed, match=rf"{name}: {state.lower()}: the nodes are gone") as end:
        await waited(session, endpoint, name)
    assert end.value.exit_code is Exit.JOB_FAILED
    assert end.value.details["state"] == state


async def test_a_state_that_is_not_yet_invented_is_no_end(
    session: Session, site: Site, endpoint: str
) -> None:
    site.ml.plan(Plan(status="Pondering", match=f"^{endpoint} "))
    name = await site.invoke(endpoint)
    await site.until(name, "Pondering")
    waiting_ = asyncio.ensure_future(waited(session, endpoint, name))
    done, _ = await asyncio.wait([waiting_], timeout=0.3)
    assert not done
    site.ml.resume()
    assert (await waiting_)[0] == "Pondering"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="refuse", status=503, path=r"/jobs/"),
        Fault(kind="refuse", status=429, path=r"/jobs/", headers={"Retry-After": "1"}),
        Fault(kind="drop-before", path=r"/jobs/"),
        Fault(kind="half-after", path=r"/jobs/"),
        Fault(kind="refuse", status=404, path=r"/jobs/", times=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_a_question_that_fails_is_asked_again(
    fault: Fault, session: Session, site: Site, endpoint: str
) -> None:
    name = await site.invoke(endpoint)
    site.ml.faults.add(fault)
    assert (await waited(session, endpoint, name))[-1] == "Completed"
    assert fault.times == 0


async def test_who_is_never_answered_is_told_how_to_wait_again(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_MOST_FAILURES", 3)
    asked: list[str] = []

    class Silent(EndpointJobs):
        def __init__(self) -> None:
            self.endpoint = "heart"

        async def get(self, name: str) -> Any:
            asked.append(name)
            raise Unavailable("no answer")

    with pytest.raises(Unavailable, match=r"job wait batchjob-1 --endpoint heart` waits again"):
        await completed(Silent(), "batchjob-1", session.console, Backoff(first=0, longest=0))
    assert asked == ["batchjob-1"] * 3


async def test_the_exit_code_says_whether_it_has_completed(
    command: Commands, site: Site, endpoint: str
) -> None:
    name = (await site.run(endpoint)).name
    ended = await command("job", "wait", name, "--endpoint", endpoint, "--output", "json")
    assert (ended.code, ended.document["state"]) == (0, "Completed")
    site.ml.jobs.change(site.ml.jobs[name], "Canceled")
    ended = await command("job", "wait", name, "--endpoint", endpoint, "--output", "json")
    assert (ended.code, ended.document["error"]["state"]) == (Exit.JOB_FAILED, "Canceled")


# --- cancel -------------------------------------------------------------------------------------


async def test_a_batch_job_is_canceled(
    session: Session, site: Site, endpoint: str, printed: Printed
) -> None:
    name = await held(site, endpoint)
    await cancel(name, endpoint=endpoint, session=session)
    await site.until(name, "Canceled")
    assert printed()["state"] in ("CancelRequested", "Canceled")


async def test_what_has_ended_is_not_canceled(session: Session, site: Site, endpoint: str) -> None:
    name = (await site.run(endpoint)).name
    with pytest.raises(Refused, match="has ended: Completed"):
        await cancel(name, endpoint=endpoint, session=session)


# --- list ---------------------------------------------------------------------------------------


async def three(site: Site, endpoint: str) -> list[BatchJob]:
    """Make three batch jobs, the second the newest and the last the oldest."""
    jobs = [site.ml.jobs[await held(site, endpoint)] for _ in range(3)]
    now = datetime.now(UTC)
    for job, age in zip(jobs, (2, 1, 3), strict=True):
        job.created = now - timedelta(hours=age)
    return jobs


async def test_the_newest_are_listed_first(
    session: Session, site: Site, endpoint: str, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.ml, "page_size", 2)
    jobs = await three(site, endpoint)
    await list_(endpoint=endpoint, session=session)
    listed = printed()
    assert [one["batch_job"] for one in listed["batch_jobs"]] == [jobs[n].name for n in (1, 0, 2)]


async def test_only_so_many_are_listed(
    session: Session, site: Site, endpoint: str, printed: Printed
) -> None:
    jobs = await three(site, endpoint)
    await list_(endpoint=endpoint, limit=1, session=session)
    listed = printed()
    assert [one["batch_job"] for one in listed["batch_jobs"]] == [jobs[1].name]
    assert listed["total"] == 3


async def test_only_those_in_a_state_are_listed(
    session: Session, site: Site, endpoint: str, printed: Printed
) -> None:
    jobs = await three(site, endpoint)
    site.ml.resume(jobs[0].name)
    await site.end(jobs[0].name)
    await list_(endpoint=endpoint, state="completed", session=session)
    assert [one["batch_job"] for one in printed()["batch_jobs"]] == [jobs[0].name]


async def test_people_see_a_table(command: Commands, site: Site, endpoint: str) -> None:
    name = (await site.run(endpoint)).name
    ended = await command("job", "list", "--endpoint", endpoint)
    heading, row = ended.out.splitlines()
    assert re.split(r"  +", heading.strip()) == ["batch job", "state", "created", "input", "output"]
    assert row.startswith(f"{name}  Completed  ")
    assert row.rstrip().endswith(f"{site.here}/out.csv")
    empty = site.deploy()
    assert (await command("job", "list", "--endpoint", empty)).out == "no batch jobs\n"


# --- results ------------------------------------------------------------------------------------


async def test_the_output_is_found_downloaded_and_shown(
    command: Commands, site: Site, endpoint: str, tmp_path: Path
) -> None:
    name = (await site.run(endpoint)).name
    to = tmp_path / "mine"
    ended = await command("job", "results", name, "--endpoint", endpoint, "--to", to, "--rows", 1)
    assert ended.code == 0, ended.err
    assert (to / "out.csv").read_text() == "a.csv=1\nb.csv=2\n"
    assert [path.name for path in to.iterdir()] == ["out.csv"]
    assert site.uri("out.csv") in ended.out
    assert re.search(rf"^url +https://.*/{site.here}/out\.csv", ended.out, re.MULTILINE)
    assert ended.out.splitlines()[-1].strip() == "a.csv=1"


async def test_without_a_folder_it_goes_to_one_of_the_batch_job_s_name(
    session: Session, site: Site, printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await site.put(**{"in/a.csv": "1", "in/b.csv": "2"})
    endpoint = site.deploy()
    name = (await site.run(endpoint)).name
    await job_results(name, endpoint=endpoint, session=session)
    shown = printed()
    assert shown["files"] == [f"{name}/out.csv"]
    assert shown["rows"] == [["a.csv=1"], ["b.csv=2"]]
    assert (tmp_path / name / "out.csv").read_text() == "a.csv=1\nb.csv=2\n"


async def test_a_file_that_is_there_is_replaced_only_if_that_is_said(
    session: Session, site: Site, endpoint: str, printed: Printed, tmp_path: Path
) -> None:
    name = (await site.run(endpoint)).name
    (tmp_path / "out.csv").write_text("precious")
    with pytest.raises(UsageError, match="--force"):
        await job_results(name, endpoint=endpoint, to=tmp_path, session=session)
    assert (tmp_path / "out.csv").read_text() == "precious"
    await job_results(name, endpoint=endpoint, to=tmp_path, force=True, session=session)
    assert (tmp_path / "out.csv").read_text() == "a.csv=1\nb.csv=2\n"


async def test_a_file_in_place_of_the_folder_is_a_mistake(
    session: Session, site: Site, endpoint: str, tmp_path: Path
) -> None:
    name = (await site.run(endpoint)).name
    (tmp_path / "file").write_text("precious")
    with pytest.raises(UsageError, match=r"file: File exists"):
        await job_results(name, endpoint=endpoint, to=tmp_path / "file", session=session)


async def test_an_output_whose_place_the_service_chose_is_found(
    session: Session, site: Site, endpoint: str, printed: Printed, tmp_path: Path
) -> None:
    """Also if the batch job does not say where that was: in a folder of its name."""
    body = {"InputData": {"i": {"JobInputType": "UriFolder", "Uri": site.uri("in")}}}
    name = (await site.post(endpoint, {"properties": body})).json()["name"]
    job = await site.end(name)
    for outputs in (job.output_uri, ""):
        job.output_uri = outputs
        await job_results(name, endpoint=endpoint, to=tmp_path, force=True, session=once(session))
        shown = printed()
        assert shown["files"] == [str(tmp_path / "predictions.csv")]
        assert shown["rows"] == [["a.csv=1"], ["b.csv=2"]]


async def test_an_output_folder_comes_with_all_its_files(
    session: Session, site: Site, endpoint: str, printed: Printed, tmp_path: Path
) -> None:
    job = await site.run(endpoint)
    await site.put(**{"many/x.csv": "1 2", "many/deep/y.csv": "3 4"})
    job.output_uri = site.uri("many/")
    await job_results(job.name, endpoint=endpoint, to=tmp_path, session=session)
    assert (tmp_path / "x.csv").read_text() == "1 2"
    assert (tmp_path / "deep" / "y.csv").read_text() == "3 4"
    assert printed()["files"] == [str(tmp_path / "deep" / "y.csv"), str(tmp_path / "x.csv")]


async def test_a_path_is_read_with_its_percent_escapes_and_without(
    session: Session, site: Site, endpoint: str, printed: Printed, tmp_path: Path
) -> None:
    job = await site.run(endpoint)
    await site.put(**{"two words.csv": "1 2"})
    job.output_uri = site.uri("two%20words.csv")
    await job_results(job.name, endpoint=endpoint, to=tmp_path, session=session)
    assert (tmp_path / "two words.csv").read_text() == "1 2"


async def test_there_is_no_output_before_the_end(
    session: Session, site: Site, endpoint: str, tmp_path: Path
) -> None:
    name = await held(site, endpoint)
    with pytest.raises(Refused, match="is Queued: it has no output"):
        await job_results(name, endpoint=endpoint, to=tmp_path, session=session)


async def test_an_output_that_is_missing_is_said_with_its_place(
    session: Session, site: Site, endpoint: str, tmp_path: Path
) -> None:
    site.ml.plan(Plan(status="Failed", message="no nodes", match=f"^{endpoint} "))
    job = await site.run(endpoint)
    with pytest.raises(Refused, match=rf"no output at {site.uri('out.csv')}.* is Failed"):
        await job_results(job.name, endpoint=endpoint, to=tmp_path, session=session)
    job.output_uri = "https://elsewhere.example/out.csv"
    with pytest.raises(Refused, match="is not on a datastore"):
        await job_results(job.name, endpoint=endpoint, to=tmp_path, session=session)
    job.output_uri = "azureml://datastores/lake/paths/out.csv"
    with pytest.raises(Refused, match="no datastore lake in blob storage"):
        await job_results(job.name, endpoint=endpoint, to=tmp_path, session=session)


async def test_a_download_that_breaks_leaves_nothing_that_looks_whole(
    session: Session, site: Site, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise Unavailable("the connection broke")

    name = (await site.run(endpoint)).name
    monkeypatch.setattr(results, "_stream", broken)
    with pytest.raises(Unavailable):
        await job_results(name, endpoint=endpoint, to=tmp_path / "mine", session=session)
    assert os.listdir(tmp_path / "mine") == []  # noqa: PTH208 - the test may block


async def test_a_file_of_an_output_cannot_lie_outside_the_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="outside"):
        results._target(tmp_path, "../evil.csv")


async def test_a_large_output_comes_in_parts(
    session: Session, azure: Azure, site: Site, printed: Printed, tmp_path: Path
) -> None:
    """No more than one of them is in memory at once, the first of 32 MiB."""
    await site.put(**{"in/a.csv": "1"})
    endpoint = site.deploy()
    job = await site.run(endpoint)
    content = ("x" * 63 + "\n") * (33 * 1024 * 1024 // 64)
    await site.landing.upload_blob(f"{site.here}/large.csv", BytesIO(content.encode()))
    job.output_uri = site.uri("large.csv")
    await job_results(job.name, endpoint=endpoint, to=tmp_path, rows=1, session=session)
    assert (tmp_path / "large.csv").read_text() == content
    assert printed()["rows"] == [["x" * 63]]
    reads = [
        operation
        for operation in azure.storage.operations.log
        if operation.operation == "GetBlob" and operation.blob.endswith(f"{site.here}/large.csv")
    ]
    assert len(reads) == 2
