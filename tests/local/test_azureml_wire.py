"""The scoring URIs on the wire, and what the other tests of Azure ML share."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local import azureml
from local.azureml import AzureMl, BatchJob
from local.azureml.workspace import Deployment, Endpoint, Settings
from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    ML_AUDIENCE,
    WORKSPACE_ID,
)
from local.run_folder import RunFolder
from local.storage import Storage
from local.tokens import issue
from tests.local.endpoints import endpoints

SECONDS = 20.0  # to wait for what takes half a one
ECHO = """
from pathlib import Path
def init(): pass
def run(mini_batch): return [f"{Path(f).name}={Path(f).read_text()}" for f in mini_batch]
"""


class Site:
    """A running Azure ML over the session's storage; `here` is a folder for one test."""

    def __init__(
        self, ml: AzureMl, landing: ContainerClient, client: httpx.AsyncClient, scripts: Path
    ) -> None:
        self.ml = ml
        self.landing = landing
        self.client = client
        self.here = f"tests/{uuid.uuid4().hex}"
        self._scripts = scripts

    def uri(self, path: str) -> str:
        return f"azureml://datastores/{DATASTORE}/paths/{self.here}/{path}"

    def deploy(self, script: str = ECHO, **settings: Any) -> str:
        """Add an endpoint whose only deployment runs a script; return its name."""
        name = f"e-{len(self.ml.workspace.endpoints)}"
        code = self._scripts / name
        code.mkdir()
        (code / "score.py").write_text(script)
        strict = {"error_threshold": 0, "max_retries": 0, **settings}
        deployment = Deployment(
            name="blue", code=code, script="score.py", settings=Settings(**strict)
        )
        self.ml.workspace.endpoints[name] = Endpoint(
            name=name, default_deployment="blue", deployments={"blue": deployment}
        )
        return name

    async def put(self, **files: str) -> None:
        for name, text in files.items():
            await self.landing.upload_blob(f"{self.here}/{name}", text)

    async def get(self, path: str) -> str | None:
        """Return what a blob holds; None: there is none."""
        try:
            blob = await self.landing.download_blob(f"{self.here}/{path}")
        except ResourceNotFoundError:
            return None
        return bytes(await blob.readall()).decode()

    async def ml_request(
        self, method: str, url: str, audience: str = ML_AUDIENCE, **request: Any
    ) -> httpx.Response:
        headers = {**bearer(audience), **request.pop("headers", {})}
        return await self.client.request(method, url, headers=headers, **request)

    async def arm(self, method: str, path: str, **request: Any) -> httpx.Response:
        version = f"{'&' if '?' in path else '?'}api-version=2022-05-01"
        url = f"{self.ml.url}{WORKSPACE_ID}/{path}{version}"
        return await self.ml_request(method, url, ARM_AUDIENCE, **request)

    async def post(
        self, endpoint: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        url = self.ml.scoring_uri(endpoint)
        content = body if isinstance(body, str) else json.dumps(body)
        return await self.ml_request("POST", url, content=content, headers=headers or {})

    async def invoke(
        self,
        endpoint: str,
        path: str = "in",
        *,
        kind: str = "UriFolder",
        uri: str | None = None,
        **more: Any,
    ) -> str:
        """Submit a job that writes to `out.csv`; return its name."""
        output = {"OutputData": {"o": file_output(self.uri("out.csv"))}}
        data = {"InputData": {"i": {"JobInputType": kind, "Uri": uri or self.uri(path)}}}
        answer = await self.post(endpoint, {"properties": {**output, **data, **more}})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])

    async def until(self, name: str, *statuses: str) -> BatchJob:
        job = self.ml.jobs[name]
        await self.ml.until(lambda _: job.status in statuses, seconds=SECONDS)
        return job

    async def end(self, name: str) -> BatchJob:
        return await self.until(name, "Completed", "Failed", "Canceled")

    async def run(self, endpoint: str, path: str = "in", **options: Any) -> BatchJob:
        return await self.end(await self.invoke(endpoint, path, **options))

    async def shown(self, endpoint: str, name: str) -> dict[str, Any]:
        answer = await self.ml_request("GET", f"{self.ml.scoring_uri(endpoint)}/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["properties"])


def bearer(audience: str, **options: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue(audience, client='test', **options)}"}


def file_output(uri: str) -> dict[str, str]:
    return {"JobOutputType": "UriFile", "Uri": uri}


async def pids_in(file: Path) -> list[int]:
    """Wait until a script that `tells` has written its processes into a file; return them."""
    async with asyncio.timeout(SECONDS):
        while not file.exists():  # noqa: ASYNC110, ASYNC240 - nobody tells when a file appears
            await asyncio.sleep(0.01)
    return list(map(int, file.read_text().split()))  # noqa: ASYNC240


def running(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not yet reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def tells(file: Path) -> str:
    """Return a script that names itself and a child in a file, and sleeps."""
    return f"""
import os, pathlib, subprocess, time
def init():
    child = subprocess.Popen(["sleep", "600"])
    new = pathlib.Path({str(file)!r} + ".new")
    new.write_text(f"{{os.getpid()}} {{child.pid}}")
    new.rename({str(file)!r})
    time.sleep(600)
def run(mini_batch): ...
"""


@contextlib.asynccontextmanager
async def opened(folder: RunFolder, storage: Storage, scripts: Path) -> AsyncIterator[Site]:
    secret = storage.connection_string(LANDING_ACCOUNT)
    async with (
        azureml.start(folder, endpoints(), step_seconds=0) as ml,
        BlobServiceClient.from_connection_string(secret) as service,
        httpx.AsyncClient(verify=folder.client_tls()) as client,
    ):
        yield Site(ml, service.get_container_client(CONTAINER), client, scripts)


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


# --- invoke -------------------------------------------------------------------------------------


async def test_an_invocation_is_answered_with_the_job_that_it_made(site: Site) -> None:
    asked = {
        "InputData": {"heart": {"JobInputType": "UriFile", "Uri": site.uri("in/a.csv")}},
        "OutputData": {"scores": file_output(site.uri("out.csv"))},
        "Tags": {"landfall": "k-1"},
        "Description": "k-1",
    }
    headers = {"repeatability_request-id": "r"}
    answer = await site.post("rows", {"Properties": asked}, headers)
    job = answer.json()
    properties = job["properties"]

    assert answer.status_code == 201
    assert job["id"].rpartition("/")[2] == job["name"] != properties["name"]
    assert {name: properties[name] for name in ("InputData", "OutputData")} == {
        name: asked[name] for name in ("InputData", "OutputData")
    }
    assert (properties["tags"], properties["description"]) == ({"landfall": "k-1"}, "k-1")
    assert job["name"] in properties["interactionEndpoints"]["Studio"]["endpoint"]
    assert site.ml.jobs[job["name"]].request_id == "r"


async def test_camel_case_is_taken_and_answered_in_camel_case(site: Site) -> None:
    asked = {
        "inputData": {"heart": {"jobInputType": "UriFile", "uri": site.uri("in/a.csv")}},
        "outputData": {"scores": {"jobOutputType": "UriFile", "uri": site.uri("out.csv")}},
    }
    answer = await site.post("rows", {"properties": asked})
    assert answer.status_code == 201
    assert answer.json()["properties"].items() >= asked.items()


async def test_the_same_request_twice_makes_two_jobs(site: Site) -> None:
    """As far as is known, the service makes nothing of a request id."""
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFile", "Uri": site.uri("a")}}}}
    names = {
        (await site.post("rows", body, {"repeatability_request-id": "same"})).json()["name"]
        for _ in range(2)
    }
    assert names == set(site.ml.jobs)
    assert len(names) == 2


async def test_without_output_the_job_has_a_folder_of_its_own_name(site: Site) -> None:
    await site.put(a="1")
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFile", "Uri": site.uri("a")}}}}
    name = (await site.post("rows", body)).json()["name"]
    job = await site.end(name)
    assert job.output_uri == f"azureml://datastores/{DATASTORE}/paths/{name}/predictions.csv"
    output = await site.landing.download_blob(f"{name}/predictions.csv")
    assert await output.readall() == b"a 1\n"


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic abc"},
        bearer(ARM_AUDIENCE),
        bearer(ML_AUDIENCE, lifetime=-1),
    ],
    ids=["none", "no-bearer", "for-arm", "expired"],
)
async def test_scoring_uris_want_a_token_for_machine_learning(
    headers: dict[str, str], site: Site
) -> None:
    url = site.ml.scoring_uri("rows")
    for method, path in (("POST", url), ("GET", url), ("GET", f"{url}/job")):
        answer = await site.client.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"


A_FILE = {"JobInputType": "UriFile", "Uri": f"azureml://datastores/{DATASTORE}/paths/a"}


def with_input(**changes: Any) -> dict[str, Any]:
    return {"InputData": {"i": {**A_FILE, **changes}}}


def with_output(**changes: Any) -> dict[str, Any]:
    return with_input() | {"OutputData": {"o": {**file_output(A_FILE["Uri"]), **changes}}}


@pytest.mark.parametrize(
    ("properties", "field", "message"),
    [
        ({}, "properties.inputData", "exactly one entry"),
        ({"InputData": {}}, "properties.inputData", "exactly one entry"),
        ({"InputData": {"a": A_FILE, "b": A_FILE}}, "properties.inputData", "exactly one entry"),
        (with_input(JobInputType="MLTable"), "properties.inputData.i.jobInputType", "'MLTable'"),
        (
            {"InputData": {"i": {"JobInputType": "Literal", "Value": "1"}}},
            "properties.inputData.i.jobInputType",
            "'Literal' is not supported by a model deployment",
        ),
        (with_input(Uri=None), "properties.inputData.i.uri", "A URI is required"),
        (with_output(JobOutputType="UriFolder"), "properties.outputData.o.jobOutputType", ""),
        (with_output(Uri="https://a/b"), "properties.outputData.o.uri", "none of the forms"),
        (
            with_output(Uri=f"azureml://datastores/{DATASTORE}/paths/folder/"),
            "properties.outputData.o.uri",
            "must be a file",
        ),
        (
            with_output(Uri="azureml://datastores/lake/paths/a"),
            "properties.outputData.o.uri",
            "not in blob storage",
        ),
        (with_input() | {"OutputData": {"a": {}, "b": {}}}, "properties.outputData", "exactly one"),
        (with_input() | {"MiniBatchSize": 0}, "properties", "miniBatchSize"),
        (with_input() | {"RetrySettings": {"Timeout": 30}}, "properties", "retrySettings.timeout"),
    ],
)
async def test_what_a_model_deployment_cannot_do_is_a_validation_error(
    properties: dict[str, Any], field: str, message: str, site: Site
) -> None:
    answer = await site.post("rows", {"properties": properties})
    assert answer.status_code == 400
    (mistake,) = answer.json()
    assert set(mistake) == {"PropertyName", "ErrorMessage", "AttemptedValue", "ErrorCode"}
    assert mistake["PropertyName"] == field
    assert message in mistake["ErrorMessage"]
    assert not site.ml.jobs


async def test_another_output_type_is_refused_in_the_words_of_the_service(site: Site) -> None:
    answer = await site.post("rows", {"properties": with_output(JobOutputType="MLTable")})
    assert answer.json()[0]["ErrorMessage"] == "Job output type must be 'uri_file'"
    assert answer.json()[0]["AttemptedValue"] == "MLTable"


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"properties": 1}', '{"properties": {"InputData": {"i": 1}}}']
)
async def test_a_body_of_another_form_is_a_validation_error(body: str, site: Site) -> None:
    answer = await site.post("rows", body)
    assert (answer.status_code, len(answer.json())) == (400, 1)


async def test_an_endpoint_and_a_job_that_are_not_there_are_not_found(site: Site) -> None:
    nowhere, rows = site.ml.scoring_uri("nowhere"), site.ml.scoring_uri("rows")
    for method, url in (("POST", nowhere), ("GET", nowhere), ("GET", f"{rows}/batchjob-1")):
        answer = await site.ml_request(method, url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")


# --- which deployment ---------------------------------------------------------------------------


async def test_a_header_names_another_than_the_default_deployment(site: Site) -> None:
    body = {"properties": with_input()}
    default = await site.post("table-endpoint", body)
    other = await site.post("table-endpoint", body, {"azureml-model-deployment": "second"})
    unknown = await site.post("table-endpoint", body, {"azureml-model-deployment": "third"})
    used = [site.ml.jobs[one.json()["name"]].deployment for one in (default, other)]
    assert used == ["threefold", "second"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "DeploymentNotFound")


async def test_without_a_default_there_is_nothing_to_route_to(site: Site) -> None:
    site.ml.workspace.endpoints["table-endpoint"].default_deployment = None
    answer = await site.post("table-endpoint", {"properties": with_input()})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("No valid deployments to route to")


# --- listings -----------------------------------------------------------------------------------


async def test_a_listing_comes_in_pages_and_shows_one_endpoint(site: Site) -> None:
    site.ml.paused, site.ml.page_size = True, 2
    names = [await site.invoke("rows") for _ in range(5)]
    await site.invoke("table-endpoint")
    pages, url = [], site.ml.scoring_uri("rows")
    while url:
        answer = (await site.ml_request("GET", url)).json()
        pages.append([job["name"] for job in answer["value"]])
        url = answer.get("nextLink")
    assert pages == [names[:2], names[2:4], names[4:]]


async def test_a_job_can_be_left_out_of_listings(site: Site) -> None:
    site.ml.paused = True
    first, second = [await site.invoke("rows") for _ in range(2)]
    site.ml.hidden.add(first)
    listed = (await site.ml_request("GET", site.ml.scoring_uri("rows"))).json()["value"]
    assert [job["name"] for job in listed] == [second]
    assert (await site.shown("rows", first))["status"] in ("NotStarted", "Preparing", "Queued")
