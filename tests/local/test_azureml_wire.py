"""The scoring URIs: requests and answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.names import ARM_AUDIENCE, DATASTORE, ML_AUDIENCE
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.site import Site, bearer, file_output, opened


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


# --- invoke -------------------------------------------------------------------------------------


async def test_an_invocation_returns_its_job(site: Site) -> None:
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


async def test_a_body_in_camel_case_is_answered_in_camel_case(site: Site) -> None:
    asked = {
        "inputData": {"heart": {"jobInputType": "UriFile", "uri": site.uri("in/a.csv")}},
        "outputData": {"scores": {"jobOutputType": "UriFile", "uri": site.uri("out.csv")}},
    }
    answer = await site.post("rows", {"properties": asked})
    assert answer.status_code == 201
    assert answer.json()["properties"].items() >= asked.items()


async def test_the_same_request_twice_makes_two_jobs(site: Site) -> None:
    """As far as is known, Azure ignores the request id."""
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFile", "Uri": site.uri("a")}}}}
    names = {
        (await site.post("rows", body, {"repeatability_request-id": "same"})).json()["name"]
        for _ in range(2)
    }
    assert names == set(site.ml.jobs)
    assert len(names) == 2


async def test_without_output_the_job_writes_to_a_folder_of_its_name(site: Site) -> None:
    await site.put(a="1")
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFile", "Uri": site.uri("a")}}}}
    name = (await site.post("rows", body)).json()["name"]
    job = await site.end(name)
    assert job.output_uri == f"azureml://datastores/{DATASTORE}/paths/{name}/predictions.csv"
    output = await site.landing.download_blob(f"{name}/predictions.csv")
    assert await output.readall() == b"a 1\n"


# --- refused requests ---------------------------------------------------------------------------


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
async def test_scoring_uris_require_a_token_for_machine_learning(
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
async def test_a_request_that_a_model_deployment_does_not_support_is_a_validation_error(
    properties: dict[str, Any], field: str, message: str, site: Site
) -> None:
    answer = await site.post("rows", {"properties": properties})
    assert answer.status_code == 400
    (mistake,) = answer.json()
    assert set(mistake) == {"PropertyName", "ErrorMessage", "AttemptedValue", "ErrorCode"}
    assert mistake["PropertyName"] == field
    assert message in mistake["ErrorMessage"]
    assert not site.ml.jobs


async def test_another_output_type_is_refused_with_azures_message(site: Site) -> None:
    answer = await site.post("rows", {"properties": with_output(JobOutputType="MLTable")})
    assert answer.json()[0]["ErrorMessage"] == "Job output type must be 'uri_file'"
    assert answer.json()[0]["AttemptedValue"] == "MLTable"


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"properties": 1}', '{"properties": {"InputData": {"i": 1}}}']
)
async def test_a_malformed_body_is_a_validation_error(body: str, site: Site) -> None:
    answer = await site.post("rows", body)
    assert (answer.status_code, len(answer.json())) == (400, 1)


async def test_a_missing_endpoint_or_job_is_not_found(site: Site) -> None:
    nowhere, rows = site.ml.scoring_uri("nowhere"), site.ml.scoring_uri("rows")
    for method, url in (("POST", nowhere), ("GET", nowhere), ("GET", f"{rows}/batchjob-1")):
        answer = await site.ml_request(method, url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")


# --- which deployment ---------------------------------------------------------------------------


async def test_a_header_can_name_another_deployment_than_the_default(site: Site) -> None:
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


async def test_a_listing_has_pages_and_the_jobs_of_one_endpoint(site: Site) -> None:
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
