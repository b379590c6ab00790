"""`doctor`: each kind of trouble is made for real, and the line names it."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueClient

from local import azure as local_azure
from local.app_settings import app_settings
from local.azure import APP, Azure
from local.azureml.workspace import Datastore, Deployment, Endpoint
from local.faults import Fault
from local.names import (
    APP_ACCOUNT,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    LEDGER_CONTAINER,
)
from local.run_folder import RunFolder
from scoring.cli.landfall.doctor.checks import run
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import Finding
from scoring.cli.landfall.doctor.command import HOST_FILE, examine
from scoring.services import ROUTES_FILE
from tests.cli.conftest import Commands
from tests.end_to_end.site import with_certificates_of

ROUTE = f"""
[[routes]]
name = "files"
datastore = "{DATASTORE}"
match = "landing/files/*.csv"
input = "file"
endpoint = "cancer"
output = "scored/files/{{key}}/predictions.csv"
max_active = 1
"""
NOBODY = "https://localhost:1"  # where nothing listens


class Examined:
    """What the checks found."""

    def __init__(self, found: list[Finding]) -> None:
        self.found = found

    @property
    def wrong(self) -> list[tuple[str, str]]:
        """The check and the subject of all that is wrong."""
        return [(one.check, one.subject) for one in self.found if one.state == "wrong"]

    def of(self, check: str, subject: str | None = None) -> Finding:
        """Return the one finding of a check, or the one about a subject."""
        (one,) = [
            one for one in self.found if one.check == check and subject in (None, one.subject)
        ]
        return one

    def states(self, check: str) -> set[str]:
        """Return the states of all findings of a check."""
        return {one.state for one in self.found if one.check == check}


class Doctor:
    """Examines the local Azure in this process."""

    def __init__(self, azure: Azure, folder: Path) -> None:
        self.azure = azure
        self._folder = folder

    async def __call__(
        self, routes: str = ROUTE, *, write: bool = False, **settings: str | None
    ) -> Examined:
        """Make all checks with these routes; a setting that is None is missing."""
        file = self._folder / "routes.toml"
        file.write_text(routes)
        wanted = {**app_settings(self.azure.folder), **settings}
        environment = {name: value for name, value in wanted.items() if value is not None}
        return Examined(await examine(environment, file, write=write))


def endpoint(name: str, deployment: str) -> Endpoint:
    code = Deployment(name=deployment, code=APP, script="never run.py")
    return Endpoint(name=name, default_deployment=deployment, deployments={deployment: code})


@pytest.fixture(scope="module")
async def azure(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Azure]:
    """A local Azure with the endpoints of routes.toml; things are broken in it."""
    own = with_certificates_of(folder, tmp_path_factory.mktemp("doctor") / "azure")
    made = (endpoint("cancer", "forest"), endpoint("digits", "vectors"))
    async with local_azure.start(own, endpoints=made) as running:
        yield running


@pytest.fixture
async def doctor(
    azure: Azure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Doctor]:
    for name, value in app_settings(azure.folder).items():
        if name.startswith("IDENTITY_"):  # the credential reads them there
            monkeypatch.setenv(name, value)
    yield Doctor(azure, tmp_path)
    faults = (azure.storage.blob_faults, azure.storage.queue_faults, azure.azureml.faults)
    for one in (*faults, azure.topic.faults, azure.identity.faults):
        one.forget()


def refuse(path: str, status: int, *, method: str = "*", code: str = "", skip: int = 0) -> Fault:
    """Return a fault that refuses all requests from the one after `skip` others on."""
    headers = {"x-ms-error-code": code} if code else {}
    return Fault(
        kind="refuse",
        method=method,
        path=path,
        times=-1,
        status=status,
        headers=headers,
        skip=skip,
    )


async def blobs(azure: Azure, account: str, container: str) -> list[str]:
    async with BlobServiceClient.from_connection_string(
        azure.storage.connection_string(account)
    ) as service:
        listing = service.get_container_client(container).list_blob_names()
        return [name async for name in listing]


# --- as a whole ---------------------------------------------------------------------------------


async def test_where_all_is_fine_it_says_so_and_leaves_nothing_behind(command: Commands) -> None:
    azure = command.azure
    before = await blobs(azure, LANDING_ACCOUNT, CONTAINER)
    events, jobs = len(azure.topic.events), len(azure.azureml.jobs)

    ended = await command("doctor", "--write", "--output", "json")

    assert ended.code == 0
    assert ended.err == ""
    found = ended.document["findings"]
    assert ended.document["wrong"] == 0
    assert {one["state"] for one in found} == {"fine"}
    page = (APP / "docs" / "commands.md").read_text("utf-8")
    table = page.partition("\n## doctor\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert {one["check"] for one in found} == set(re.findall("`(.*?)`", "".join(rows)))
    assert {(one["check"], one["subject"]) for one in found} >= {
        ("settings", "app settings"),
        ("host.json", "host.json"),
        ("route", "digits"),
        ("token", "Azure ML"),
        ("datastore", DATASTORE),
        ("landing path", f"{DATASTORE}: landing/cancer/"),
        ("output path", f"{DATASTORE}: scored/cancer/"),
        ("endpoint", "cancer"),
        ("scoring URI", "digits"),
        ("deployment", "cancer/(default)"),
        ("queue", "landings"),
        ("queue", "landings-poison"),
        ("ledger", LEDGER_CONTAINER),
        ("clock", "this machine"),
        ("topic", "localhost"),
    }
    assert await blobs(azure, LANDING_ACCOUNT, CONTAINER) == before
    assert not [one for one in await blobs(azure, APP_ACCOUNT, LEDGER_CONTAINER) if "doctor" in one]
    assert (len(azure.topic.events), len(azure.azureml.jobs)) == (events, jobs)


async def test_what_is_wrong_stands_in_one_line_and_in_the_exit_code(
    command: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTE.replace('"cancer"', '"nowhere"'))

    ended = await command("doctor", "--routes", file)

    assert ended.code == 3
    lines = [line for line in ended.out.splitlines() if line.startswith("wrong")]
    assert len(lines) == 1
    assert lines[0].split()[:3] == ["wrong", "endpoint", "nowhere:"]
    assert ended.out.splitlines()[-1] == "1 wrong"


async def test_ctrl_c_leaves_no_blob_in_the_ledger(command: Commands) -> None:
    azure = command.azure
    hang = azure.storage.blob_faults.add(
        Fault(kind="hang-before", method="PUT", path="landfall-doctor-.*comp=metadata")
    )
    running = await command.start("doctor")
    await azure.storage.blob_faults.until_met(hang)
    running.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(running.communicate(), timeout=60)
    azure.storage.blob_faults.forget()

    assert running.returncode == 130
    assert (out, b"interrupted" in err) == (b"", True)
    assert not [one for one in await blobs(azure, APP_ACCOUNT, LEDGER_CONTAINER) if "doctor" in one]


async def test_one_check_that_breaks_hides_neither_what_it_found_nor_the_others(
    tmp_path: Path,
) -> None:
    async def breaks(_: Facts) -> AsyncIterator[Finding]:
        yield Finding(check="x", subject="first", state="fine", message="")
        raise ValueError("a mistake of ours")

    facts = Facts(environment={}, routes_file=tmp_path, host_file=tmp_path, write=False)
    first, second = await run("x", breaks, facts)
    assert (first.subject, first.state) == ("first", "fine")
    assert second.state == "wrong"
    assert second.message == "the check itself failed: ValueError: a mistake of ours"


# --- settings, host.json, routes ----------------------------------------------------------------


async def test_each_mistake_in_the_settings_is_a_line_and_what_does_not_need_them_is_checked(
    doctor: Doctor,
) -> None:
    found = await doctor(LANDFALL_POLL_SECONDS="25", CompletionTopic__topicEndpointUri=None)
    mistakes = {one.message for one in found.found if one.check == "settings"}
    assert mistakes == {
        "LANDFALL_POLL_SECONDS: must be a divisor of 60 up to 30",
        "CompletionTopic__topicEndpointUri is missing",
    }
    assert found.of("topic").state == found.of("ledger").state == "not-checked"
    assert found.of("topic").message == "settings are wrong"
    assert found.states("endpoint") == found.states("landing path") == {"fine"}


async def test_without_any_setting_each_that_is_needed_is_named(tmp_path: Path) -> None:
    found = Examined(await examine({}, ROUTES_FILE))
    assert len([one for one in found.found if one.check == "settings"]) == 5
    assert found.states("route") == {"fine"}
    assert found.of("token").state == "not-checked"
    assert set(found.wrong) == {("settings", "app settings"), ("queue", "landings")} | {
        ("queue", "landings-poison")
    }


async def test_a_pace_is_for_trying(doctor: Doctor) -> None:
    found = await doctor(LANDFALL_PACE="0.5")
    assert found.of("settings").state == "warning"
    assert found.wrong == []


HOST = json.loads(HOST_FILE.read_text())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Expecting"),
        ("{}", "no extensions.queues"),
        ("[]", "no extensions.queues"),
        ('{"extensions": {"queues": {}}}', 'set it to "none"'),
        ('{"extensions": {"queues": {"messageEncoding": "base64"}}}', 'set it to "none"'),
        (None, "No such file"),
    ],
)
async def test_a_host_file_that_would_lose_messages_is_wrong(
    text: str | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "host.json"
    if text is not None:
        file.write_text(text)
    found = Examined(await examine({}, ROUTES_FILE, host_file=file))
    assert found.of("host.json").state == "wrong"
    assert says in found.of("host.json").message


async def test_each_mistake_in_the_routes_is_a_line_and_the_good_ones_are_checked(
    doctor: Doctor,
) -> None:
    broken = ROUTE.replace('"files"', '"broken"').replace("max_active = 1", "max_active = 0")
    found = await doctor(broken + ROUTE)
    assert found.wrong == [("route", "broken")]
    assert found.of("route", "broken").message.startswith("max_active: must be")
    assert found.of("route", "files").message == "landing/files/*.csv → cancer"


async def test_routes_that_loop_through_two_datastores_of_one_container_are_named(
    doctor: Doctor,
) -> None:
    doctor.azure.azureml.workspace.datastores["twin"] = Datastore(name="twin")
    looping = (
        ROUTE.replace('"files"', '"looping"')
        .replace(DATASTORE, "twin")
        .replace("scored/", "results/")
        .replace("landing/files/", "scored/")
    )
    found = await doctor(ROUTE + looping)
    del doctor.azure.azureml.workspace.datastores["twin"]
    assert found.wrong == [("route", "files")]
    assert any("may lie where route 'looping' looks" in one.message for one in found.found)
    assert found.of("landing path").subject == "twin: scored/"


async def test_a_file_without_routes_and_one_that_is_not_there(doctor: Doctor) -> None:
    found = await doctor("")
    assert found.of("route").state == "warning"
    assert found.wrong == []
    missing = Examined(await examine({}, Path("nowhere/routes.toml")))
    assert ("route", "routes.toml") in missing.wrong


async def test_a_route_that_is_not_enabled_is_said_to_wait(doctor: Doctor) -> None:
    found = await doctor(ROUTE + "enabled = false\n")
    assert "not enabled" in found.of("route").message


# --- tokens -------------------------------------------------------------------------------------


async def test_a_token_that_there_is_not_is_named_and_what_needs_it_is_not_checked(
    doctor: Doctor,
) -> None:
    doctor.azure.identity.faults.add(refuse("ml.azure.com", 400))
    found = await doctor()
    assert found.wrong == [("token", "Azure ML")]
    assert "none for https://ml.azure.com: " in found.of("token", "Azure ML").message
    assert "AZURE_CLIENT_ID" in found.of("token", "Azure ML").message
    assert found.of("scoring URI").state == "not-checked"
    assert found.of("scoring URI").message == "no token for https://ml.azure.com"


async def test_a_token_says_whose_it_is(doctor: Doctor) -> None:
    found = await doctor(AZURE_CLIENT_ID="11111111-1111-1111-1111-111111111111")
    message = found.of("token", "storage").message
    assert message.endswith("held by appid 11111111-1111-1111-1111-111111111111")


@pytest.mark.parametrize(
    ("setting", "check"),
    [("LANDFALL_ML_AUDIENCE", "scoring URI"), ("LANDFALL_ARM_AUDIENCE", "workspace")],
)
async def test_a_token_for_another_audience_is_refused_and_its_setting_named(
    doctor: Doctor, setting: str, check: str
) -> None:
    settings: dict[str, Any] = {setting: "https://vault.azure.net"}
    found = await doctor(**settings)
    (wrong,) = [one for one in found.found if one.state == "wrong"]
    assert wrong.check == check
    assert "401: InvalidAuthenticationToken" in wrong.message
    assert setting in wrong.message


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("/datastores", "workspace"),
        ("/batchEndpoints/cancer", "endpoint"),
        ("/jobs", "scoring URI"),
    ],
)
async def test_a_role_that_is_missing_on_the_workspace_is_named(
    doctor: Doctor, path: str, check: str
) -> None:
    doctor.azure.azureml.faults.add(refuse(path, 403))
    found = await doctor()
    (wrong,) = [one for one in found.found if one.state == "wrong"]
    assert wrong.check == check
    assert "403" in wrong.message
    assert "AzureML Data Scientist" in wrong.message
    assert "minutes" in wrong.message


async def test_where_the_workspace_is_not_what_it_has_is_not_called_missing(
    doctor: Doctor,
) -> None:
    found = await doctor(AZUREML_ARM_WORKSPACE_NAME="nowhere")
    assert found.wrong == [("workspace", "nowhere")]
    assert "404: ResourceNotFound" in found.of("workspace").message
    for check in ("datastore", "landing path", "endpoint", "scoring URI", "deployment"):
        assert found.states(check) == {"not-checked"}


# --- datastores ---------------------------------------------------------------------------------


def other_datastore(doctor: Doctor, **fields: str) -> Callable[[], None]:
    """Change the datastore until the returned function is called."""
    stores = doctor.azure.azureml.workspace.datastores
    before = stores[DATASTORE]
    stores[DATASTORE] = replace(before, **fields)  # type: ignore[arg-type]
    return lambda: stores.update({DATASTORE: before})


async def test_a_datastore_that_there_is_not_or_that_is_of_another_type_is_named(
    doctor: Doctor,
) -> None:
    lost, lake = (ROUTE.replace(DATASTORE, name) for name in ("lost", "lake"))
    found = await doctor(lost + lake.replace('"files"', '"of-lake"'))
    assert found.wrong == [("datastore", "lost"), ("datastore", "lake")]
    assert "register it" in found.of("datastore", "lost").message
    assert "is of type AzureDataLakeGen2" in found.of("datastore", "lake").message
    assert found.states("landing path") == {"not-checked"}


async def test_a_container_that_there_is_not_is_named(doctor: Doctor) -> None:
    restore = other_datastore(doctor, container="nowhere")
    found = await doctor(write=True)
    restore()
    place = f"{DATASTORE}: "
    assert found.wrong == [
        ("landing path", place + "landing/files/"),
        ("output path", place + "scored/files/"),
    ]
    assert "404: ContainerNotFound" in found.of("landing path").message
    assert "create the container" in found.of("landing path").message


async def test_an_account_that_there_is_not_is_named(doctor: Doctor) -> None:
    restore = other_datastore(doctor, account="nosuch")
    theirs = f"{doctor.azure.storage.blob}/nosuch"
    found = await doctor(LandingStorage_nosuch__blobServiceUri=theirs)
    unreachable = await doctor(LandingStorage_nosuch__blobServiceUri=NOBODY)
    not_trusted = await doctor()
    restore()
    for one in (found, unreachable, not_trusted):
        assert one.wrong == [("landing path", f"{DATASTORE}: landing/files/")]
    assert "is the name of the account right?" in unreachable.of("landing path").message
    assert "add its host to LANDFALL_ALLOWED_HOSTS" in not_trusted.of("landing path").message


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_role_to_list_or_to_read_that_is_missing_is_named(
    doctor: Doctor, method: str
) -> None:
    """Listing is GET; what is read of a blob that is not there is HEAD."""
    fault = refuse(f"/{CONTAINER}", 403, method=method, code="AuthorizationPermissionMismatch")
    doctor.azure.storage.blob_faults.add(fault)
    found = await doctor()
    assert found.wrong == [("landing path", f"{DATASTORE}: landing/files/")]
    message = found.of("landing path").message
    assert "403: AuthorizationPermissionMismatch" in message
    assert "Storage Blob Data Reader" in message


async def test_a_role_to_read_what_lies_there_that_is_missing_is_named(doctor: Doctor) -> None:
    azure = doctor.azure
    async with BlobServiceClient.from_connection_string(
        azure.storage.connection_string(LANDING_ACCOUNT)
    ) as service:
        blob = service.get_blob_client(CONTAINER, "landing/files/a.csv")
        await blob.upload_blob(b"1")
        fine = await doctor()
        path = "landing/files/a.csv"
        azure.storage.blob_faults.add(refuse(path, 403, method="GET"))
        found = await doctor()
        await blob.delete_blob()
    assert fine.of("landing path").message == "can be listed and read"
    assert found.wrong == [("landing path", f"{DATASTORE}: landing/files/")]


async def test_a_firewall_is_told_from_a_role(doctor: Doctor) -> None:
    fault = refuse(f"/{CONTAINER}", 403, code="AuthorizationFailure")
    doctor.azure.storage.blob_faults.add(fault)
    message = (await doctor()).of("landing path").message
    assert "firewall" in message
    assert "role" not in message


async def test_outputs_are_tried_only_if_it_is_wished(doctor: Doctor) -> None:
    path = f"/{CONTAINER}/scored/files/landfall-doctor-"
    fault = doctor.azure.storage.blob_faults.add(refuse(path, 403, method="PUT"))
    unasked = await doctor()
    assert unasked.of("output path").state == "not-checked"
    assert "--write" in unasked.of("output path").message
    assert (unasked.wrong, fault.met) == ([], 0)
    found = await doctor(write=True)
    assert found.wrong == [("output path", f"{DATASTORE}: scored/files/")]
    assert "Storage Blob Data Contributor" in found.of("output path").message


async def test_a_probe_that_cannot_be_deleted_is_named(doctor: Doctor) -> None:
    path = f"/{CONTAINER}/scored/files/landfall-doctor-"
    doctor.azure.storage.blob_faults.add(refuse(path, 403, method="DELETE"))
    found = await doctor(write=True)
    doctor.azure.storage.blob_faults.forget()
    (left,) = await blobs(doctor.azure, LANDING_ACCOUNT, CONTAINER)
    async with BlobServiceClient.from_connection_string(
        doctor.azure.storage.connection_string(LANDING_ACCOUNT)
    ) as service:
        await service.get_container_client(CONTAINER).delete_blob(left)
    assert f"{left} was written and cannot be deleted" in found.of("output path").message


# --- endpoints ----------------------------------------------------------------------------------


async def test_an_endpoint_that_there_is_not_is_named(doctor: Doctor) -> None:
    found = await doctor(ROUTE.replace('"cancer"', '"nowhere"'))
    assert found.wrong == [("endpoint", "nowhere")]
    assert "no batch endpoint" in found.of("endpoint").message
    assert found.of("scoring URI").state == found.of("deployment").state == "not-checked"


async def test_a_deployment_that_the_route_names_is_looked_for(doctor: Doctor) -> None:
    good = await doctor(ROUTE + 'deployment = "forest"\n')
    assert good.of("deployment", "cancer/forest").state == "fine"
    found = await doctor(ROUTE + 'deployment = "nowhere"\n')
    assert found.wrong == [("deployment", "cancer/nowhere")]
    assert "no deployment 'nowhere'" in found.of("deployment").message


async def test_an_endpoint_without_default_deployment_would_refuse_each_job(
    doctor: Doctor,
) -> None:
    resources = doctor.azure.azureml.resources
    await doctor()  # what came from files is among the resources from now on
    endpoint = resources.get("batchEndpoints/cancer")
    assert endpoint is not None
    defaults, endpoint.body.properties.defaults = endpoint.body.properties.defaults, {}
    found = await doctor()
    endpoint.body.properties.defaults = defaults
    assert found.wrong == [("deployment", "cancer/(default)")]
    assert "No valid deployments to route to" in found.of("deployment").message


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("batchEndpoints/cancer", "endpoint"),
        ("batchEndpoints/cancer/deployments/forest", "deployment"),
    ],
)
@pytest.mark.parametrize(("state", "is_"), [("Failed", "wrong"), ("Updating", "warning")])
async def test_what_is_not_provisioned_is_named(
    doctor: Doctor, path: str, check: str, state: str, is_: str
) -> None:
    await doctor()
    resource = doctor.azure.azureml.resources.get(path)
    assert resource is not None
    resource.state = state
    found = await doctor()
    resource.state = "Succeeded"
    assert found.of(check).state == is_
    assert state.lower() in found.of(check).message.lower()


async def test_a_scoring_uri_that_may_not_be_sent_a_token_is_named(doctor: Doctor) -> None:
    """Sovereign clouds and private DNS have hosts of their own."""
    own = doctor.azure.azureml
    before = own.scoring_url
    own.scoring_url = before.replace("localhost", "127.0.0.1")
    found = await doctor()
    own.scoring_url = before
    assert found.wrong == [("scoring URI", "cancer")]
    assert "LANDFALL_ALLOWED_HOSTS" in found.of("scoring URI").message


async def test_jobs_that_cannot_be_listed_are_a_warning(doctor: Doctor) -> None:
    doctor.azure.azureml.faults.add(refuse("/endpoints/cancer/jobs", 200))
    found = await doctor()
    assert found.of("scoring URI").state == "warning"


# --- queues -------------------------------------------------------------------------------------


async def test_a_queue_that_there_is_not_is_named(doctor: Doctor) -> None:
    """The other account has none."""
    elsewhere = f"{doctor.azure.storage.queue}/{LANDING_ACCOUNT}"
    found = await doctor(AzureWebJobsStorage__queueServiceUri=elsewhere)
    assert found.wrong == [("queue", "landings")]
    assert "create it" in found.of("queue", "landings").message
    assert found.of("queue", "landings-poison").state == "fine"  # the host makes it


async def test_messages_in_the_poison_queue_are_a_warning(doctor: Doctor) -> None:
    secret = doctor.azure.storage.connection_string(APP_ACCOUNT)
    async with QueueClient.from_connection_string(secret, "landings-poison") as queue:
        await queue.create_queue()
        empty = await doctor()
        await queue.send_message("not to be understood")
        found = await doctor()
        (message,) = await queue.peek_messages()
        await queue.delete_queue()
    assert empty.of("queue", "landings-poison").message == "is empty"
    assert found.of("queue", "landings-poison").state == "warning"
    assert "about 1 messages" in found.of("queue", "landings-poison").message
    assert message.dequeue_count == 0


async def test_queues_that_cannot_be_looked_at(doctor: Doctor) -> None:
    missing = await doctor(AzureWebJobsStorage__queueServiceUri=None)
    assert missing.wrong == [("queue", "landings"), ("queue", "landings-poison")]
    assert (
        "AzureWebJobsStorage__queueServiceUri is missing" in missing.of("queue", "landings").message
    )
    secret = doctor.azure.storage.connection_string(APP_ACCOUNT, http=False)
    by_secret = await doctor(AzureWebJobsStorage=secret)
    assert by_secret.wrong == []
    assert by_secret.states("queue") == {"not-checked"}
    doctor.azure.storage.queue_faults.add(refuse("/landings", 403))
    refused = await doctor()
    assert "Storage Queue Data Contributor" in refused.of("queue", "landings").message
    unreachable = await doctor(AzureWebJobsStorage__queueServiceUri=NOBODY)
    assert "can this machine reach it?" in unreachable.of("queue", "landings").message


# --- the ledger ---------------------------------------------------------------------------------


async def test_a_ledger_without_container_is_named(doctor: Doctor) -> None:
    found = await doctor(LANDFALL_LEDGER_CONTAINER="nowhere")
    assert ("ledger", "nowhere") in found.wrong
    assert "404: ContainerNotFound" in found.of("ledger").message
    assert "LANDFALL_LEDGER_CONTAINER" in found.of("ledger").message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_ledger_that_may_not_be_kept_is_named(doctor: Doctor, method: str) -> None:
    path = f"/{LEDGER_CONTAINER}.*(list|doctor)"
    doctor.azure.storage.blob_faults.add(refuse(path, 403, method=method))
    found = await doctor()
    assert found.wrong == [("ledger", LEDGER_CONTAINER)]
    doctor.azure.storage.blob_faults.forget()
    await clear_probes(doctor.azure)


async def clear_probes(azure: Azure) -> None:
    """Delete what could not be deleted."""
    async with BlobServiceClient.from_connection_string(
        azure.storage.connection_string(APP_ACCOUNT)
    ) as service:
        container = service.get_container_client(LEDGER_CONTAINER)
        async for name in container.list_blob_names(name_starts_with="control/landfall-doctor-"):
            await container.delete_blob(name)


@pytest.mark.parametrize(("path", "status"), [("doctor-[0-9a-f]+$", 201), ("comp=metadata", 200)])
async def test_a_storage_that_heeds_no_conditions_is_named(
    doctor: Doctor, path: str, status: int
) -> None:
    """The second creation, and a change of what has changed, must be refused."""
    doctor.azure.storage.blob_faults.add(refuse(path, status, method="PUT", skip=1))
    found = await doctor()
    assert found.wrong == [("ledger", LEDGER_CONTAINER)]
    assert "is this Azure Blob Storage?" in found.of("ledger").message


async def test_a_ledger_that_cannot_be_reached_is_told_at_once(doctor: Doctor) -> None:
    async with asyncio.timeout(timedelta(seconds=30).total_seconds()):
        found = await doctor(AzureWebJobsStorage__blobServiceUri=NOBODY)
    assert ("ledger", LEDGER_CONTAINER) in found.wrong
    assert "AzureWebJobsStorage__blobServiceUri" in found.of("ledger").message


async def test_a_clock_that_is_wrong_is_a_remark(doctor: Doctor) -> None:
    answer = refuse("restype=container$", 200)
    answer.headers = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    doctor.azure.storage.blob_faults.add(answer)
    found = await doctor()
    assert found.of("clock").state == "warning"
    assert "ahead of the storage's" in found.of("clock").message
    assert found.wrong == []


# --- the topic ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "EventGrid Data Sender"),
        (403, "firewall"),
        (404, "ends in /api/events"),
        (307, "redirects"),
    ],
)
async def test_a_topic_that_refuses_is_named(doctor: Doctor, status: int, says: str) -> None:
    doctor.azure.topic.faults.add(refuse("/api/events", status))
    found = await doctor()
    assert found.wrong == [("topic", "localhost")]
    assert says in found.of("topic").message


async def test_a_topic_that_cannot_be_reached_is_named(doctor: Doctor) -> None:
    found = await doctor(CompletionTopic__topicEndpointUri=f"{NOBODY}/api/events")
    assert found.wrong == [("topic", "localhost")]
    assert "CompletionTopic__topicEndpointUri" in found.of("topic").message


async def test_what_the_topic_does_not_tell_is_not_claimed(doctor: Doctor) -> None:
    found = await doctor()
    assert "the first event will show whether the role is sufficient" in found.of("topic").message
