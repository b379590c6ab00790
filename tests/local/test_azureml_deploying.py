"""Deployments that are PUT: the article's steps, references, updates and deletion."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.dummy import DummyClassifier

from local.azureml import Failure, OperationPlan, Plan
from local.deploy import DEPLOYMENTS
from local.names import DATASTORE, LANDING_ACCOUNT
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.azureml_requests import (
    BLOBS,
    COMPUTE,
    ENDPOINT,
    ENVIRONMENT,
    STORE,
    arm_id,
    code,
    deployment,
    done,
    ended,
    model,
    names,
    polled,
    prepared,
    put,
    shown,
    state,
)
from tests.local.site import Site, file_output, opened

CANCER = (DEPLOYMENTS / "cancer" / "code" / "score.py").read_bytes()
BLUE = "batchEndpoints/mnist/deployments/blue"
SCRIPT = """
import os
from pathlib import Path
from helpers.words import WORD
def init():
    global model
    model = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("weights")).read_text()
def run(mini_batch):
    return [f"{WORD} {model} {Path(f).name} {os.environ.get('GREETING')}" for f in mini_batch]
"""
TREE = """
import os
from pathlib import Path
def init(): pass
def run(mini_batch):
    root = os.environ["AZUREML_MODEL_DIR"]
    found = [Path(folder, f) for folder, _, files in os.walk(root, followlinks=True) for f in files]
    tree = sorted(f"{path.relative_to(root)}={path.read_text()}" for path in found)
    return [" | ".join(tree)] * len(mini_batch)
"""


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


async def upload(site: Site, script: str = SCRIPT) -> None:
    await site.put(
        **{
            "code/score.py": script,
            "code/helpers/__init__.py": "",
            "code/helpers/words.py": "WORD = 'hello'",
            "model/deep/weights": "w1",
            "in/0.png": "zero",
            "in/1.png": "one",
        }
    )


def default(name: str) -> dict[str, Any]:
    return {
        **ENDPOINT,
        "properties": {"authMode": "aadToken", "defaults": {"deploymentName": name}},
    }


async def scored(site: Site, **options: Any) -> str | None:
    """Invoke the endpoint; return the output, or None if there is none."""
    job = await site.run("mnist", **options)
    assert job.message == "", job.message
    return await site.get("out.csv")


# --- the article --------------------------------------------------------------------------------


async def test_the_steps_of_the_article_end_in_a_completed_job(site: Site) -> None:
    (store,) = (await site.arm("GET", "datastores?isDefault=true")).json()["value"]
    assert f"{store['properties']['protocol']}://{LANDING_ACCOUNT}.blob.core.windows.net" in BLOBS
    await upload(site)

    assert (await put(site, "codes/score-mnist/versions/1", code(site))).status_code == 201
    assert (await put(site, "models/mnist/versions/1", model(site))).status_code == 201
    assert (await put(site, "environments/mnist-env/versions/1", ENVIRONMENT)).status_code == 201
    await done(site, "computes/batch-cluster", COMPUTE)

    made = await put(site, "batchEndpoints/mnist", ENDPOINT)
    uri = made.json()["properties"]["properties"]["AzureAsyncOperationUri"]
    await ended(site, made)
    assert (await polled(site, uri)).json()["status"] == "Succeeded"

    made = await put(site, BLUE, deployment(environmentVariables={"GREETING": "hi"}))
    uri = made.json()["properties"]["properties"]["AzureAsyncOperationUri"]
    assert (made.status_code, made.json()["properties"]["provisioningState"]) == (201, "Creating")
    await ended(site, made)
    assert (await polled(site, uri)).json()["status"] == "Succeeded"

    await done(site, "batchEndpoints/mnist", default("blue"))
    endpoint = (await shown(site, "batchEndpoints/mnist"))["properties"]
    assert endpoint["defaults"] == {"deploymentName": "blue"}
    body = {
        "InputData": {"mnistInput": {"JobInputType": "UriFolder", "Uri": site.uri("in")}},
        "OutputData": {"mnistOutput": file_output(site.uri("out.csv"))},
    }
    answer = await site.ml_request("POST", endpoint["scoringUri"], json={"properties": body})
    name = answer.json()["id"].rpartition("/")[2]
    await site.end(name)
    job = await site.ml_request("GET", f"{endpoint['scoringUri']}/{name}")
    assert job.json()["properties"]["status"] == "Completed"
    assert await site.get("out.csv") == "hello w1 0.png hi\nhello w1 1.png hi\n"

    await ended(site, await site.arm("DELETE", "batchEndpoints/mnist"))
    assert (await site.arm("GET", BLUE)).status_code == 404
    gone = await site.ml_request("POST", endpoint["scoringUri"], json={"properties": body})
    assert gone.status_code == 404
    await done(site, "batchEndpoints/mnist", ENDPOINT)
    assert await names(site, "batchEndpoints/mnist/deployments") == [[]]


async def test_get_returns_a_deployment_with_its_defaults(site: Site) -> None:
    """Numbers in quotes become numbers, and values are spelled as in Azure."""
    await prepared(site)
    body = deployment(outputAction="summaryonly", properties={"git": "1"}, description="d")
    await done(site, BLUE, body)
    found = await shown(site, BLUE)
    properties = dict(found["properties"])
    assert properties.pop("properties").pop("git") == "1"
    assert found["location"] == ENDPOINT["location"]
    assert properties == {
        **{name: one for name, one in body["properties"].items() if name != "properties"},
        "maxConcurrencyPerInstance": 4,
        "errorThreshold": 0,
        "miniBatchSize": 5,
        "loggingLevel": "Info",
        "outputAction": "SummaryOnly",
        "outputFileName": "predictions.csv",
        "provisioningState": "Succeeded",
    }


# --- models and codes ---------------------------------------------------------------------------

BIG = ["big/a=1", "big/deep/er/b=2"]


@pytest.mark.parametrize(
    ("form", "files"),
    [
        (f"{STORE}/{{here}}/models/big", BIG),
        (f"{STORE}/{{here}}/models/big/", BIG),
        (f"azureml://datastores/{DATASTORE}/paths/{{here}}/models/big", BIG),
        (f"{BLOBS}/{{here}}/models/big", BIG),
        (f"{STORE}/{{here}}/models/big/deep/er/b", ["b=2"]),
        (f"{BLOBS}/{{here}}/models/one%20file.bin?sas=ignored", ["one file.bin=3"]),
    ],
)
async def test_a_model_is_in_its_folder_under_its_own_name(
    form: str, files: list[str], site: Site
) -> None:
    await upload(site, TREE)
    await site.put(**{"models/big/a": "1", "models/big/deep/er/b": "2", "models/bigger/c": "no"})
    await site.put(**{"models/one file.bin": "3"})
    await put(
        site,
        "models/tree/versions/1",
        {"properties": {"modelUri": form.format(here=site.here)}},
    )
    reference = {"referenceType": "id", "assetId": arm_id("models/Tree/versions/1")}
    await deployed(site, deployment(model=reference))
    assert await scored(site) == f"{' | '.join(files)}\n" * 2


async def test_a_deployment_may_have_no_model(site: Site) -> None:
    await upload(site, TREE)
    await deployed(site, deployment(model=None))
    assert await scored(site) == "\n\n"


async def test_the_scripts_of_local_deployments_find_their_model(site: Site) -> None:
    """The same script as in `local/deployments`, with a model that always predicts 1."""
    content = io.BytesIO()
    joblib.dump(DummyClassifier(strategy="constant", constant=1).fit([[0], [0]], [0, 1]), content)
    for name, data in (("code/score.py", CANCER), ("model/model.joblib", content.getvalue())):
        await site.landing.upload_blob(f"{site.here}/{name}", data)
    await site.put(**{"in/a.csv": "x\n1\n2\n"})
    await deployed(site, deployment())
    assert await scored(site) == "a.csv 0 1\na.csv 1 1\n"


async def test_a_code_that_is_a_file_fails_the_job(site: Site) -> None:
    await upload(site)
    await put(site, "codes/file/versions/1", code(site, "code/score.py"))
    configuration = {"codeId": arm_id("codes/file/versions/1"), "scoringScript": "score.py"}
    await deployed(site, deployment(codeConfiguration=configuration))
    job = await site.run("mnist")
    assert job.message.endswith("/code/score.py/")


async def test_a_script_may_be_in_a_subfolder_of_its_code(site: Site) -> None:
    await upload(site)
    await site.put(**{"code/deep/score.py": SCRIPT.replace("{WORD}", "deeper {WORD}")})
    configuration = {
        "codeId": arm_id("codes/score-mnist/versions/1"),
        "scoringScript": "deep/score.py",
    }
    await deployed(site, deployment(codeConfiguration=configuration))
    assert (await scored(site) or "").startswith("deeper hello w1 0.png")


async def test_files_are_downloaded_once_for_each_registered_version(
    site: Site, storage: Storage
) -> None:
    """Also for two jobs at once; a version that is registered again counts as another one."""
    await upload(site)
    await deployed(site, deployment())
    both = [await site.invoke("mnist"), await site.invoke("mnist", OutputData={"o": second(site)})]
    ends = [(await site.end(name)).status for name in both]
    weights = f"{site.here}/model/deep/weights"
    fetched = [one for one in storage.operations.log if one.blob.endswith(weights)]

    await site.landing.upload_blob(weights, "w2", overwrite=True)
    await site.arm("DELETE", "models/mnist/versions/1")
    await put(site, "models/mnist/versions/1", model(site))
    await done(site, BLUE, deployment())
    await site.run("mnist", OutputData={"o": file_output(site.uri("third.csv"))})

    assert ends == ["Completed", "Completed"]
    assert [one.operation for one in fetched if one.actor == "azureml"] == ["GetBlob"]
    assert (await site.get("third.csv") or "").startswith("hello w2 0.png")


async def test_downloads_of_an_earlier_process_are_removed(
    folder: RunFolder, storage: Storage, tmp_path: Path
) -> None:
    left = folder.path / "registered" / "key.partial" / "model"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    async with opened(folder, storage, tmp_path):
        assert not left.exists()


@pytest.mark.parametrize(
    ("missing", "says"),
    [("code", "/code"), ("model", "/model"), ("code/score.py", "score.py")],
)
async def test_files_that_are_not_in_storage_fail_the_job(
    missing: str, says: str, site: Site
) -> None:
    """Azure does not check that they exist when they are registered."""
    await upload(site)
    async for name in site.landing.list_blob_names(name_starts_with=f"{site.here}/{missing}"):
        await site.landing.delete_blob(name)
    await deployed(site, deployment())
    job = await site.run("mnist")
    assert job.status == "Failed"
    assert says in job.message


# --- references ---------------------------------------------------------------------------------


async def test_a_deployment_must_name_existing_resources(site: Site) -> None:
    """All that is missing is reported at once."""
    await done(site, "batchEndpoints/mnist", ENDPOINT)
    answer = await put(site, BLUE, deployment(compute=None))
    details = answer.json()["error"]["details"]
    assert answer.status_code == 400
    assert {one["target"]: one["code"] for one in details} == {
        "properties.codeConfiguration.codeId": "ReferenceNotFound",
        "properties.model.assetId": "ReferenceNotFound",
        "properties.environmentId": "ReferenceNotFound",
        "properties.compute": "MissingProperty",
    }
    assert "there is no models/mnist/versions/1" in str(details)
    assert (await site.arm("GET", BLUE)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({"compute": "batch-cluster"}, "properties.compute"),
        ({"compute": arm_id("models/mnist/versions/1")}, "properties.compute"),
        ({"compute": arm_id("computes/batch-cluster").replace("/landfall/", "/elsewher/")}, "properties.compute"),
        ({"environmentId": f"azureml:{arm_id('environments/mnist-env/versions/1')}"}, "properties.environmentId"),
        ({"environmentId": arm_id("environments/mnist-env")}, "properties.environmentId"),
        ({"codeConfiguration": {"scoringScript": "score.py"}}, "properties.codeConfiguration.codeId"),
        (
            {"codeConfiguration": {"scoringScript": "../s.py", "codeId": arm_id("codes/score-mnist/versions/1")}},
            "properties.codeConfiguration.scoringScript",
        ),
        ({"retrySettings": {"timeout": "PT0S"}}, "properties.retrySettings.timeout"),
        ({"retrySettings": {"timeout": "PT"}}, "properties.retrySettings.timeout"),
        ({"model": {"referenceType": "DataPath", "assetId": "a"}}, "properties.model.referenceType"),
    ],
)  # fmt: skip
async def test_a_wrong_reference_or_value_is_refused(
    changes: dict[str, Any], target: str, site: Site
) -> None:
    await prepared(site)
    answer = await put(site, BLUE, deployment(**changes))
    assert answer.status_code == 400, answer.text
    assert [one["target"] for one in answer.json()["error"]["details"]] == [target]


async def test_ids_in_references_may_have_any_case(site: Site) -> None:
    await upload(site)
    await prepared(site)
    await done(site, BLUE, deployment(compute=arm_id("computes/batch-cluster").upper()))
    assert await state(site, BLUE) == "Succeeded"


async def test_a_deployment_needs_an_endpoint(site: Site) -> None:
    for method, path in (("PUT", BLUE), ("GET", BLUE), ("GET", "batchEndpoints/mnist/deployments")):
        answer = await site.arm(method, path, json=deployment())
        assert (answer.status_code, answer.json()["error"]["code"]) == (
            404,
            "ParentResourceNotFound",
        )


# --- updates and deletion -----------------------------------------------------------------------


async def test_a_failed_deployment_cannot_score_until_a_put_succeeds(site: Site) -> None:
    await upload(site)
    await deployed(site, deployment())
    site.ml.plan_operation(OperationPlan(match=f"{BLUE}$", fails=Failure("ImageBuild", "no")))
    assert (await ended(site, await put(site, BLUE, deployment())))["status"] == "Failed"
    body = {"properties": {"InputData": {"i": {"JobInputType": "UriFolder", "Uri": "azureml://a"}}}}
    refused = await site.post("mnist", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "DeploymentNotReady")
    assert "Failed" in refused.text
    await done(site, BLUE, deployment())
    assert (await scored(site) or "").startswith("hello w1")


async def test_the_previous_deployment_scores_while_it_is_updated(site: Site) -> None:
    await upload(site)
    await deployed(site, deployment())
    site.ml.plan_operation(OperationPlan(seconds=600))
    changed = deployment(environmentVariables={"GREETING": "new"})
    answer = await put(site, BLUE, changed)
    before = await scored(site)
    site.ml.resume()
    await ended(site, answer)
    await site.run("mnist", OutputData={"o": second(site)})
    assert (before or "").splitlines()[0] == "hello w1 0.png None"
    assert (await site.get("second.csv") or "").splitlines()[0] == "hello w1 0.png new"


async def test_jobs_have_the_settings_of_the_deployment(site: Site) -> None:
    """One file in a mini-batch, and one may fail."""
    script = """
def init(): pass
def run(mini_batch):
    if "0.png" in mini_batch[0]: raise ValueError("bad file")
    return [len(mini_batch)]
"""
    await upload(site, script)
    await deployed(site, deployment(miniBatchSize=1, errorThreshold=1))
    assert await scored(site) == "1\n"
    await done(site, BLUE, deployment(miniBatchSize=1, errorThreshold=0))
    job = await site.run("mnist", OutputData={"o": second(site)})
    assert (job.status, job.message) == ("Failed", "ValueError: bad file")


async def test_deployments_are_listed_in_pages_and_any_can_be_invoked(
    site: Site,
) -> None:
    await upload(site)
    await deployed(site, deployment())
    other = deployment(environmentVariables={"GREETING": "green"})
    await done(site, "batchEndpoints/mnist/deployments/green", other)
    site.ml.page_size = 1
    assert await names(site, "batchEndpoints/MNIST/deployments") == [["blue"], ["green"]]
    body = {
        "properties": {"InputData": {"i": {"JobInputType": "UriFolder", "Uri": site.uri("in")}}}
    }
    answer = await site.post("MNIST", body, {"azureml-model-deployment": "GREEN"})
    job = await site.end(answer.json()["name"])
    assert (job.status, job.deployment, job.endpoint) == ("Completed", "green", "mnist")
    assert (await site.shown("Mnist", job.name))["status"] == "Completed"


async def test_deleting_the_default_deployment_leaves_an_endpoint_without_one(site: Site) -> None:
    await upload(site)
    await deployed(site, deployment())
    answer = await site.arm("DELETE", BLUE)
    assert (answer.status_code, (await ended(site, answer))["status"]) == (202, "Succeeded")
    assert (await site.arm("GET", BLUE)).status_code == 404
    assert (await site.arm("DELETE", BLUE)).status_code == 204
    assert "defaults" not in (await shown(site, "batchEndpoints/mnist"))["properties"]
    refused = await site.post("mnist", {"properties": {}})
    assert "No valid deployments to route to" in refused.text


async def test_a_put_without_defaults_removes_the_default(site: Site) -> None:
    await upload(site)
    await deployed(site, deployment())
    await done(site, "batchEndpoints/mnist", ENDPOINT)
    refused = await site.post("mnist", {"properties": {}})
    assert "No valid deployments to route to" in refused.text


async def test_jobs_outlive_their_endpoint(site: Site) -> None:
    await upload(site)
    await deployed(site, deployment())
    site.ml.plan(Plan(status="Queued"))
    name = await site.invoke("mnist")
    await ended(site, await site.arm("DELETE", "batchEndpoints/mnist"))
    assert (await site.arm("GET", "batchEndpoints/mnist")).status_code == 404
    site.ml.resume()
    assert (await site.end(name)).status == "Completed"


async def test_endpoints_from_the_start_can_be_read_changed_and_deleted(site: Site) -> None:
    """Their deployments have no references, because nothing is registered."""
    assert await names(site, "batchEndpoints/table-endpoint/deployments") == [
        ["threefold", "second"]
    ]
    found = (await shown(site, "batchEndpoints/table-endpoint/deployments/threefold"))["properties"]
    assert (found["miniBatchSize"], found["retrySettings"]["timeout"]) == (3, "PT7S")
    await done(site, "batchEndpoints/table-endpoint", default("second"))
    endpoint = site.ml.workspace.endpoints["table-endpoint"]
    assert (endpoint.default_deployment, set(endpoint.deployments)) == (
        "second",
        {"threefold", "second"},
    )
    await ended(site, await site.arm("DELETE", "batchEndpoints/table-endpoint"))
    assert await names(site, "batchEndpoints") == [["rows"]]


# --- helpers ------------------------------------------------------------------------------------


async def deployed(site: Site, body: Any) -> None:
    """Create a deployment with all that it needs, and make it the default."""
    await prepared(site)
    await done(site, BLUE, body)
    await done(site, "batchEndpoints/mnist", default("blue"))


def second(site: Site) -> dict[str, str]:
    return file_output(site.uri("second.csv"))
