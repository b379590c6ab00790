"""The ledger's commands, as an operator's shell runs them, on the ledger of a working service."""

import hashlib
import json
from typing import Any

from local.faults import Fault
from local.host import Host
from local.names import CONTAINER, LANDING_ACCOUNT
from tests.cli.conftest import Commands, Ended
from tests.end_to_end.site import Site
from tests.factories import created, landing


async def ledger(site: Site, *arguments: object) -> Ended:
    routes = ("--routes", site.app / "routes.toml", "--output", "json")
    return await Commands(site.azure)("ledger", *arguments, *routes)


async def told(site: Site, *arguments: object) -> Any:
    ended = await ledger(site, *arguments)
    assert (ended.code, ended.err) == (0, ""), ended
    return ended.document


async def test_from_a_files_name_to_its_job_and_its_history(here: Site) -> None:
    path = "landing/files/find/me.txt"
    await here.drop(path)
    event = await here.event(path)
    (found,) = (await told(here, "find", "find/me"))["jobs"]
    assert (found["job"], found["state"], found["path"]) == (event["id"], "completed", path)
    shown = await told(here, "show", event["id"])
    assert [step["what"] for step in shown["history"]] == ["landed", "submitted", "ended"]
    assert shown["document"] == event
    assert (shown["path"], shown["output"]) == (path, event["data"]["output"]["uri"])


async def test_jobs_are_listed_by_state_route_path_and_time(here: Site) -> None:
    paths = [f"landing/files/list/{number}.txt" for number in range(3)]
    for path in paths:
        await here.drop(path)
        await here.event(path)
    common = ("list", "--path", "landing/files/list/")
    newest = (await told(here, *common, "--state", "completed", "--since", "1h"))["jobs"]
    assert [job["path"] for job in newest] == paths[::-1]
    assert [job["path"] for job in (await told(here, *common, "--limit", "1"))["jobs"]] == [
        paths[2]
    ]
    for excludes in (["--state", "failed"], ["--route", "folders"], ["--until", "1h"]):
        assert (await told(here, *common, *excludes))["jobs"] == []


async def test_an_open_job_is_shown_with_its_batch_job(here: Site) -> None:
    path = "landing/files/open.txt"
    async with here.held("files"):
        await here.drop(path)
        batch_job = await here.submitted("files", path)
        (open_job,) = (await told(here, "list", "--state", "submitted", "--path", path))["jobs"]
        shown = await told(here, "show", open_job["job"])
    assert shown["batch_job"].startswith(f"{batch_job.name} (")
    assert shown["document"]["progress"]["batch_job"] == batch_job.name
    await here.event(path)


async def test_what_has_ended_is_scored_again_once_for_each_request(here: Site) -> None:
    path = "landing/files/again.txt"
    await here.drop(path)
    first = await here.event(path)
    (left,) = (await told(here, "replay", path))["replayed"]
    assert (left["what"], left["job"]) == ("ended", first["id"])
    command = ("replay", path, "--again", "--yes")
    (dry,) = (await told(here, *command, "--dry-run"))["replayed"]
    (once,) = (await told(here, *command))["replayed"]
    (twice,) = (await told(here, *command))["replayed"]
    assert [one["what"] for one in (dry, once, twice)] == ["again", "again", "asked-before"]
    second = await here.event(path, count=2)
    assert second["id"] == once["job"] == dry["job"] != first["id"]
    assert second["data"]["output"]["uri"] != first["data"]["output"]["uri"]


async def test_a_running_job_is_canceled(here: Site) -> None:
    path = "landing/files/cancel.txt"
    async with here.held("files"):
        await here.drop(path)
        await here.submitted("files", path)
        (open_job,) = (await told(here, "list", "--state", "submitted", "--path", path))["jobs"]
        canceled = await told(here, "cancel", open_job["job"])
        event = await here.event(path)
    assert any(line.startswith("canceling ") for line in canceled["log"])
    assert event["type"] == "Landfall.JobCanceled"
    assert event["data"]["reason"]["code"] == "canceled-by-operator"
    refused = await ledger(here, "cancel", open_job["job"])
    assert (refused.code, refused.document["error"]["kind"]) == (3, "refused")
    assert "has ended" in refused.document["error"]["message"]


async def test_a_job_that_is_held_is_settled_by_hand(here: Site, host: Host) -> None:
    path = "landing/by-hand/lost.txt"
    gone = Fault(kind="drop-before", method="POST", path="/endpoints/by-hand/jobs$")
    here.azure.azureml.faults.pending.append(gone)
    await here.drop(path)
    await host.until(f"route=by-hand path={path} attempt=1 reason=")
    (unknown,) = (await told(here, "list", "--state", "unknown", "--route", "by-hand"))["jobs"]
    settled = await told(here, "settle", unknown["job"], "--lost")
    assert settled["follows"] == "the next attempt is 2"
    event = await here.event(path)
    assert (event["data"]["status"], event["data"]["attempt"]) == ("completed", 2)


async def test_a_message_leaves_quarantine_and_is_scored(here: Site) -> None:
    path = "landing/files/released.txt"
    await here.azure.storage.events.behave(drop=1)
    etag = await here.drop(path)
    landed = landing(path, account=LANDING_ACCOUNT, container=CONTAINER, etag=etag)
    message = json.dumps(created(landed)).encode()
    digest = hashlib.sha256(message).hexdigest()
    kept = here.ledger.get_blob_client(f"quarantine/{digest}")
    await kept.upload_blob(message, metadata={"reason": "an older version", "announced": "yes"})
    assert (await told(here, "release", digest[:12]))["events"] == 1
    event = await here.event(path)
    assert event["data"]["status"] == "completed"
    assert not await kept.exists()
    assert (await ledger(here, "release", digest)).code == 3
