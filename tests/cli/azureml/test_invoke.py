"""`invoke`: one batch job by hand."""

import asyncio
import dataclasses
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from local.azureml import Plan
from local.faults import Fault
from local.names import (
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_ID,
)
from scoring.cli.azureml.invoke.by_hand import Invoked, OutcomeUnknown, Work, invoke_by_hand
from scoring.cli.azureml.invoke.command import pairs
from scoring.cli.azureml.invoke.inputs import source
from scoring.cli.azureml.job.waiting import completed
from scoring.cli.backoff import Backoff
from scoring.cli.failures import Exit, Interrupted, JobFailed, Refused, UsageError
from scoring.cli.session import Session
from scoring.errors import Unavailable
from scoring.routes.route import SubmissionFields
from tests.cli.azureml.session_requests import record
from tests.cli.conftest import Commands
from tests.local.site import Site

BRISK = Backoff(first=0.05, longest=0.1)
IN_WORKSPACE = (
    f"subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/workspaces/{WORKSPACE}"
)


@pytest.fixture
async def endpoint(site: Site) -> str:
    await site.put(**{"in/a.csv": "1", "in/b.csv": "2"})
    return site.deploy()


def work(endpoint: str, site: Site, **more: Any) -> Work:
    return Work(endpoint=endpoint, **{"source": source(None, site.uri("in")), **more})


async def register(session: Session, name: str, version: str, kind: str, uri: str) -> None:
    body = {"properties": {"dataType": kind, "dataUri": uri}}
    await session.arm.put(f"data/{name}/versions/{version}", body)


async def scored(session: Session, invoked: Invoked) -> None:
    await completed(invoked.jobs, invoked.batch_job, session.console, BRISK)


async def output(site: Site, invoked: Invoked) -> str:
    path = str(invoked.output).partition("/paths/")[2]
    blob = await site.landing.download_blob(path)
    return bytes(await blob.readall()).decode()


def jobs_of(site: Site, endpoint: str) -> list[str]:
    return [job.name for job in site.ml.jobs.values() if job.endpoint == endpoint]


# --- what is scored -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        f"azureml://datastores/{DATASTORE}/paths/{{here}}/in",
        f"azureml://{IN_WORKSPACE}/datastores/{DATASTORE}/paths/{{here}}/in/",
        f"azureml://locations/{LOCATION}/workspaces/{WORKSPACE}/data/{{data}}/versions/1",
        f"{WORKSPACE_ID}/data/{{data}}/versions/1",
        f"https://{LANDING_ACCOUNT}.blob.core.windows.net/{CONTAINER}/{{here}}/in",
        "azureml:{data}:1",
        "{local}",
    ],
)
async def test_a_folder_is_scored_in_every_form(
    form: str, session: Session, site: Site, endpoint: str, tmp_path: Path
) -> None:
    local = tmp_path / "in"
    local.mkdir()
    (local / "a.csv").write_text("1")
    (local / "b.csv").write_text("2")
    await register(session, f"data-{endpoint}", "1", "uri_folder", site.uri("in"))
    argument = form.format(here=site.here, data=f"data-{endpoint}", local=local)

    invoked = await invoke_by_hand(session, work(endpoint, site, source=source(None, argument)))
    await scored(session, invoked)

    assert await output(site, invoked) == "a.csv=1\nb.csv=2\n"


@pytest.mark.parametrize(
    "form",
    [
        f"azureml://datastores/{DATASTORE}/paths/{{here}}/in/a.csv",
        f"https://{LANDING_ACCOUNT}.blob.core.windows.net/{CONTAINER}/{{here}}/in/a.csv",
        "azureml:{data}:2",
        "{local}/a.csv",
    ],
)
async def test_a_file_is_scored_in_every_form(
    form: str, session: Session, site: Site, endpoint: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("1")
    await register(session, f"data-{endpoint}", "2", "uri_file", site.uri("in/a.csv"))
    argument = form.format(here=site.here, data=f"data-{endpoint}", local=tmp_path)

    invoked = await invoke_by_hand(session, work(endpoint, site, source=source(argument, None)))
    await scored(session, invoked)

    assert await output(site, invoked) == "a.csv=1\n"


async def test_a_data_asset_must_be_there_and_of_the_kind_that_is_said(
    session: Session, site: Site, endpoint: str
) -> None:
    await register(session, "a-file", "1", "uri_file", site.uri("in/a.csv"))
    for argument, why in (
        ("azureml:a-file:1", "--folder cannot score it"),
        ("azureml:a-file:2", "has no data"),
    ):
        with pytest.raises(Refused, match=why):
            await invoke_by_hand(session, work(endpoint, site, source=source(None, argument)))
    assert jobs_of(site, endpoint) == []


# --- where the output goes ----------------------------------------------------------------------


async def test_every_batch_job_has_an_output_of_its_own(
    session: Session, site: Site, endpoint: str
) -> None:
    made = [await invoke_by_hand(session, work(endpoint, site)) for _ in range(2)]
    first, second = (str(invoked.output) for invoked in made)
    assert first != second
    assert re.fullmatch(
        rf"azureml://datastores/{DATASTORE}/paths/scored-by-hand/{endpoint}/\d{{8}}T\d{{6}}Z-"
        r"[0-9a-f]{8}/predictions\.csv",
        first,
    )


async def test_the_output_goes_where_it_is_said(
    session: Session, site: Site, endpoint: str
) -> None:
    place = site.uri("mine/p.csv")
    invoked = await invoke_by_hand(session, work(endpoint, site, output=place))
    await scored(session, invoked)
    assert invoked.output == place
    assert await site.get("mine/p.csv") == "a.csv=1\nb.csv=2\n"


async def test_an_output_that_exists_is_refused_before_anything_is_sent(
    session: Session, site: Site, endpoint: str
) -> None:
    await site.put(**{"mine.csv": "precious"})
    with pytest.raises(Refused, match="never overwritten"):
        await invoke_by_hand(session, work(endpoint, site, output=site.uri("mine.csv")))
    assert jobs_of(site, endpoint) == []


async def test_an_output_that_comes_to_exist_fails_the_batch_job(
    session: Session, site: Site, endpoint: str
) -> None:
    site.ml.plan(Plan(status="Queued", match=f"^{endpoint} "))
    invoked = await invoke_by_hand(session, work(endpoint, site, output=site.uri("mine.csv")))
    await site.put(**{"mine.csv": "precious"})
    site.ml.resume()
    with pytest.raises(JobFailed, match=r"failed: the output file .*mine\.csv exists already"):
        await scored(session, invoked)
    assert await site.get("mine.csv") == "precious"


async def test_the_place_of_the_output_may_be_left_to_the_service(
    session: Session, site: Site, endpoint: str
) -> None:
    recording = record(session)
    invoked = await invoke_by_hand(session, work(endpoint, site, output_kind="none"))
    assert invoked.output is None
    assert "OutputData" not in recording.posted()


# --- how it is scored ---------------------------------------------------------------------------


async def test_another_deployment_scores_if_that_is_said(
    session: Session, site: Site, endpoint: str
) -> None:
    found = site.ml.workspace.endpoints[endpoint]
    found.deployments["green"] = dataclasses.replace(found.deployments["blue"], name="green")
    default = await invoke_by_hand(session, work(endpoint, site))
    other = await invoke_by_hand(session, work(endpoint, site, deployment="green"))
    assert [site.ml.jobs[one.batch_job].deployment for one in (default, other)] == ["blue", "green"]
    with pytest.raises(Refused, match="has no deployment 'red'"):
        await invoke_by_hand(session, work(endpoint, site, deployment="red"))


async def test_all_that_a_job_can_be_told_is_in_the_request(
    command: Commands, site: Site, endpoint: str
) -> None:
    await site.put(**{"in/c.csv": "3"})
    ended = await command(
        *("invoke", "--endpoint", endpoint, "--folder", site.uri("in")),
        *("--instance-count", 2, "--mini-batch-size", 1, "--error-threshold", -1),
        *("--max-retries", 0, "--timeout", "5m", "--max-concurrency", 3),
        *("--logging-level", "debug", "--output-file-name", "mine.csv"),
        *("--experiment-name", "by-hand", "--tag", "ward=7", "--tag", "by=me"),
        *("--output", "json"),
    )
    assert ended.code == 0, ended.out
    made = site.ml.jobs[ended.document["batch_job"]]
    assert made.output_uri.endswith("/mine.csv")
    assert made.tags == {"ward": "7", "by": "me"}
    assert (made.settings.mini_batch_size, made.settings.error_threshold) == (1, -1)
    assert (made.settings.max_retries, made.settings.timeout.total_seconds()) == (0, 300)
    assert ended.document["output"] == made.output_uri
    assert ended.document["input"] == site.uri("in")


async def test_the_body_has_what_was_asked_for_and_nothing_else(
    session: Session, site: Site, endpoint: str
) -> None:
    recording = record(session)
    asked = work(
        endpoint,
        site,
        output=site.uri("mine.csv"),
        fields=SubmissionFields(
            input_name="heart", output_name="scores", instance_count=2, mini_batch_size=5
        ),
        max_concurrency=3,
        logging_level="warning",
        experiment_name="by-hand",
    )
    await invoke_by_hand(session, asked)
    assert recording.posted() == {
        "InputData": {"heart": {"JobInputType": "UriFolder", "Uri": site.uri("in")}},
        "OutputData": {"scores": {"JobOutputType": "UriFile", "Uri": site.uri("mine.csv")}},
        "compute": {"instanceCount": 2},
        "miniBatchSize": 5,
        "maxConcurrencyPerInstance": 3,
        "loggingLevel": "Warning",
        "properties": {"experimentName": "by-hand"},
    }


async def test_a_pipeline_is_given_literals_and_an_output_folder(
    session: Session, site: Site, endpoint: str
) -> None:
    """Options of pipelines are sent for models, too, and the endpoint's answer is reported."""
    recording = record(session)
    asked = work(
        endpoint,
        site,
        output_kind="folder",
        fields=SubmissionFields(params={"mode": "fast", "top": "10"}),
    )
    with pytest.raises(Refused, match=r"400: .*takes exactly one entry in inputData"):
        await invoke_by_hand(session, asked)
    posted = recording.posted()
    assert posted["InputData"]["mode"] == {"JobInputType": "Literal", "Value": "fast"}
    assert posted["InputData"]["top"] == {"JobInputType": "Literal", "Value": "10"}
    assert posted["OutputData"]["output"]["JobOutputType"] == "UriFolder"
    assert posted["OutputData"]["output"]["Uri"].endswith("/")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"fields": SubmissionFields(instance_count=0)}, "--instance-count: must be at least 1"),
        ({"fields": SubmissionFields(error_threshold=-2)}, "--error-threshold: .* -1"),
        ({"fields": SubmissionFields(input_name="a b")}, "--input-name: use letters"),
        ({"fields": SubmissionFields(params={"a-b": "1"})}, "--param a-b: use letters"),
        ({"fields": SubmissionFields(params={"input": "1"})}, "--param input: is the name of"),
        ({"max_concurrency": 0}, "--max-concurrency"),
        ({"output_file_name": "a/b.csv"}, "--output-file-name"),
        ({"output_file_name": ".."}, "--output-file-name"),
        ({"output": "azureml:mnist:1"}, "--output"),
    ],
)
async def test_what_no_batch_job_can_do_is_refused_before_anything_is_asked(
    fields: dict[str, Any], why: str, session: Session, site: Site
) -> None:
    recording = record(session)
    with pytest.raises(UsageError, match=why):
        await invoke_by_hand(session, work("heart", site, **fields))
    assert recording.requests == []


def test_a_literal_is_a_name_and_a_value() -> None:
    assert pairs("--param", ("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}
    for arguments in (("a",), ("=1",), ("a=1", "a=2")):
        with pytest.raises(UsageError, match="--param"):
            pairs("--param", arguments)


async def test_an_endpoint_that_is_not_there_is_named(session: Session, site: Site) -> None:
    with pytest.raises(Refused, match="no batch endpoint nowhere"):
        await invoke_by_hand(session, work("nowhere", site))


# --- one POST, whatever happens -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="drop-after", method="POST"),
        Fault(kind="half-after", method="POST"),
        Fault(kind="error-after", method="POST", status=503, headers={"Retry-After": "1"}),
        Fault(kind="error-after", method="POST", status=409),
        Fault(kind="error-after", method="POST", status=200, body="{}"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_an_unclear_answer_is_cleared_by_the_listing(
    fault: Fault, session: Session, site: Site, endpoint: str
) -> None:
    site.ml.faults.add(fault)
    invoked = await invoke_by_hand(session, work(endpoint, site))
    assert jobs_of(site, endpoint) == [invoked.batch_job]


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_what_the_listing_does_not_show_nobody_knows(
    status: int, session: Session, site: Site, endpoint: str
) -> None:
    """There may be a batch job, so nothing is sent once more."""
    site.ml.faults.add(Fault(kind="refuse", method="POST", status=status, times=-1))
    recording = record(session)
    with pytest.raises(
        OutcomeUnknown, match=r"is unknown whether .* job list --endpoint"
    ) as unclear:
        await invoke_by_hand(session, work(endpoint, site))
    assert [one["method"] for one in recording.requests].count("POST") == 1
    assert unclear.value.exit_code is Exit.UNAVAILABLE
    assert unclear.value.details["output"] in str(unclear.value)


async def test_a_batch_job_that_the_listing_hides_is_not_made_again(
    session: Session, site: Site, endpoint: str
) -> None:
    site.ml.plan(Plan(hidden=True, match=f"^{endpoint} "))
    site.ml.faults.add(Fault(kind="drop-after", method="POST"))
    with pytest.raises(OutcomeUnknown):
        await invoke_by_hand(session, work(endpoint, site))
    assert len(jobs_of(site, endpoint)) == 1


async def test_nobody_knows_either_if_the_listing_cannot_be_read(
    session: Session, site: Site, endpoint: str
) -> None:
    site.ml.faults.add(Fault(kind="drop-after", method="POST"))
    site.ml.faults.add(Fault(kind="refuse", method="GET", path=r"/jobs$", times=-1))
    with pytest.raises(OutcomeUnknown):
        await invoke_by_hand(session, work(endpoint, site))


async def test_a_batch_job_with_an_output_that_was_chosen_may_be_an_older_one(
    session: Session, site: Site, endpoint: str
) -> None:
    """Only an output that was made up for this batch job says that it is this one."""
    place = site.uri("mine.csv")
    site.ml.plan(Plan(status="Queued", match=f"^{endpoint} ", times=-1))
    older = await invoke_by_hand(session, work(endpoint, site, output=place))
    site.ml.faults.add(Fault(kind="refuse", method="POST", status=503))
    with pytest.raises(OutcomeUnknown, match=older.batch_job):
        await invoke_by_hand(session, work(endpoint, site, output=place))


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (400, pytest.raises(Refused, match="400: no thanks")),
        (403, pytest.raises(Refused, match="403: no thanks")),
        (429, pytest.raises(Unavailable, match="429: no thanks; try again in 7 s")),
    ],
)
async def test_an_answer_that_says_that_nothing_was_made_is_passed_on(
    status: int, end: pytest.RaisesExc[Exception], session: Session, site: Site, endpoint: str
) -> None:
    headers = {"Retry-After": "7"}
    site.ml.faults.add(
        Fault(kind="refuse", method="POST", status=status, body="no thanks", headers=headers)
    )
    with end:
        await invoke_by_hand(session, work(endpoint, site))
    assert jobs_of(site, endpoint) == []


async def test_ctrl_c_during_the_post_says_how_to_find_out(
    session: Session, site: Site, endpoint: str
) -> None:
    hanging = site.ml.faults.add(Fault(kind="hang-after", method="POST"))
    invoking = asyncio.ensure_future(invoke_by_hand(session, work(endpoint, site)))
    await site.ml.faults.until_met(hanging)
    invoking.cancel()
    with pytest.raises(Interrupted, match="is unknown whether"):
        await invoking
    assert len(jobs_of(site, endpoint)) == 1


# --- as a command -------------------------------------------------------------------------------


async def test_a_command_can_wait_for_the_end(command: Commands, site: Site, endpoint: str) -> None:
    place = site.uri("mine.csv")
    ended = await command(
        *("invoke", "--endpoint", endpoint, "--folder", site.uri("in"), "--wait"),
        *("--output", place, "--output", "json"),
    )
    assert ended.code == 0, ended.out
    assert ended.err == ""
    assert ended.document["state"] == "Completed"
    assert ended.document["output"] == place
    assert ended.document["states"][-1]["state"] == "Completed"
    assert await site.get("mine.csv") == "a.csv=1\nb.csv=2\n"


async def test_people_see_the_batch_job_and_its_states(
    command: Commands, site: Site, endpoint: str
) -> None:
    ended = await command(
        *("invoke", "--endpoint", endpoint, "--file", site.uri("in/a.csv"), "--wait")
    )
    (made,) = jobs_of(site, endpoint)
    assert ended.code == 0
    assert re.search(rf"^batch job +{made}$", ended.out, re.MULTILINE)
    assert re.search(r"^output +azureml://", ended.out, re.MULTILINE)
    assert re.search(r"^Completed( after \d+ s)?$", ended.err, re.MULTILINE)


async def test_a_batch_job_that_fails_has_an_exit_code_of_its_own(
    command: Commands, site: Site
) -> None:
    await site.put(**{"in/a.csv": "1"})
    endpoint = site.deploy("def init(): raise ValueError('no model')\ndef run(m): ...")
    ended = await command(
        *("invoke", "--endpoint", endpoint, "--folder", site.uri("in"), "--wait", "-o", "json")
    )
    assert ended.code == Exit.JOB_FAILED
    error = ended.document["error"]
    assert error["kind"] == "job-failed"
    assert error["state"] == "Failed"
    assert "no model" in error["message"]


async def test_ctrl_c_while_waiting_says_how_to_wait_again(
    command: Commands, site: Site, endpoint: str
) -> None:
    site.ml.plan(Plan(status="Queued", match=f"^{endpoint} "))
    process = await command.start(
        *("invoke", "--endpoint", endpoint, "--folder", site.uri("in"), "--wait")
    )
    await site.ml.until(lambda _: bool(jobs_of(site, endpoint)), seconds=60)
    (made,) = jobs_of(site, endpoint)
    assert process.stdout is not None
    await process.stdout.readuntil(made.encode())
    assert process.stderr is not None
    await process.stderr.readuntil(b"\n")  # the first state
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    again = f"python -m scoring job wait {made} --endpoint {endpoint}"
    assert again in err.decode()
    assert not site.ml.jobs[made].ended


async def test_a_secret_in_an_input_is_never_printed(command: Commands) -> None:
    uri = "https://a.blob.core.windows.net/c/f?sv=1&sig=geheim"
    ended = await command("invoke", "--endpoint", "e", "--file", uri, "--output", "json")
    assert ended.code == Exit.USAGE
    assert "geheim" not in ended.out + ended.err
