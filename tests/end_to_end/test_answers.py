"""Every answer to a POST, over real sockets: at most one batch job for an attempt, none lost.

Each case has an endpoint of its own, so that all of them run at the same time.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.faults import Fault
from local.host import Host
from local.run_folder import RunFolder
from tests.end_to_end.site import Site, file_route, log_of, site

PACE = "0.05"  # a POST may take 3 seconds: all of them begin at once

FOR_GOOD = {f"refused-{status}": {"status": status} for status in (400, 413, 422)}
FOR_A_WHILE: dict[str, dict[str, Any]] = {
    "held-401": {"status": 401, "times": 2},
    "held-403": {"status": 403},
    "held-404": {"status": 404},
    "held-429": {"status": 429, "headers": {"Retry-After": "1"}},
}
UNCLEAR: dict[str, dict[str, Any]] = {
    "408": {"status": 408},
    "409": {"status": 409},
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503, "headers": {"Retry-After": "1"}},
    "504": {"status": 504},
    "redirect": {"status": 307, "headers": {"Location": "https://localhost/elsewhere"}},
    "nameless": {"status": 200, "body": "{}"},
    "garbage": {"status": 200, "body": "<html>"},
}
# The same answers after the work was done and without it: nobody can tell from the answer.
DONE = {f"done-{name}": {"kind": "error-after", **fields} for name, fields in UNCLEAR.items()} | {
    "done-dropped": {"kind": "drop-after"},
    "done-half": {"kind": "half-after"},
    "done-silent": {"kind": "hang-after"},
}
NOT_DONE = {f"not-{name}": {"kind": "refuse", **fields} for name, fields in UNCLEAR.items()} | {
    "not-dropped": {"kind": "drop-before"},
    "not-silent": {"kind": "hang-before"},
}
ALL = FOR_GOOD | FOR_A_WHILE | DONE | NOT_DONE


@pytest.fixture(scope="module")
async def asked(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Site, Host]]:
    """A site where each case's first POST is answered as the case says."""
    tmp = tmp_path_factory.mktemp("answers")
    async with (
        site(folder, tmp, map(file_route, ALL), ALL) as made,
        made.host(LANDFALL_PACE=PACE) as host,
    ):
        for name, fields in ALL.items():
            path = f"/endpoints/{name}/jobs$"
            fault = Fault(**{"kind": "refuse", "method": "POST", "path": path, **fields})
            made.azure.azureml.faults.add(fault)
        for name in ALL:
            await made.drop(f"landing/{name}/a.txt")
        yield made, host


@pytest.mark.parametrize("name", FOR_GOOD)
async def test_an_answer_for_good_fails_the_job_at_once(
    asked: tuple[Site, Host], name: str
) -> None:
    made, host = asked
    event = await made.event(f"landing/{name}/a.txt")
    assert event["data"]["reason"]["code"] == "refused"
    assert str(ALL[name]["status"]) in event["data"]["reason"]["message"]
    assert made.batch_jobs(name) == []
    assert log_of(host, event)[:2] == ["claimed", "failed"]


@pytest.mark.parametrize("name", FOR_A_WHILE)
async def test_an_answer_that_may_change_holds_the_job_back(
    asked: tuple[Site, Host], name: str
) -> None:
    made, host = asked
    event = await made.event(f"landing/{name}/a.txt")
    assert event["type"] == "Landfall.JobCompleted"
    assert event["data"]["attempt"] == 1
    assert len(made.batch_jobs(name)) == 1
    assert log_of(host, event)[:3] == ["claimed", "held", "submitted"]


@pytest.mark.parametrize("name", DONE)
async def test_an_unclear_answer_after_the_work_leads_to_that_batch_job(
    asked: tuple[Site, Host], name: str
) -> None:
    made, host = asked
    event = await made.event(f"landing/{name}/a.txt")
    assert event["type"] == "Landfall.JobCompleted"
    assert event["data"]["attempt"] == 1
    (batch_job,) = made.batch_jobs(name)
    assert event["data"]["batchJob"] == batch_job.name
    assert log_of(host, event)[:3] == ["claimed", "unclear", "adopted"]


@pytest.mark.parametrize("name", NOT_DONE)
async def test_an_unclear_answer_without_the_work_leads_to_another_attempt(
    asked: tuple[Site, Host], name: str
) -> None:
    made, host = asked
    event = await made.event(f"landing/{name}/a.txt")
    assert event["type"] == "Landfall.JobCompleted"
    assert event["data"]["attempt"] == 2
    (batch_job,) = made.batch_jobs(name)
    assert batch_job.output_uri == event["data"]["output"]["uri"]
    assert log_of(host, event)[:4] == ["claimed", "unclear", "lost", "submitted"]
