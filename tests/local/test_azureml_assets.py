"""PUT of codes, models, environments and data, and bodies that are refused."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.names import DATASTORE, LOCATION, WORKSPACE
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
    ended,
    names,
    put,
    shown,
)
from tests.local.site import Site, opened

DATA = {"properties": {"dataType": "uri_folder", "dataUri": "https://example.org/mnist"}}


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


# --- versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("codes", {"codeUri": f"{BLOBS}/score", "description": "d", "tags": {"a": "b"}}),
        ("models", {"modelUri": f"{STORE}/model", "modelType": "mlflow_model"}),
        ("models", {"modelUri": f"{BLOBS}/model.bin", "flavors": {"f": {"data": {"a": "b"}}}}),
        (
            "environments",
            {
                **ENVIRONMENT["properties"],
                "osType": "Linux",
                "inferenceConfig": {"scoringRoute": {"path": "/score", "port": 80}},
            },
        ),
        (
            "environments",
            {
                "build": {"contextUri": f"{BLOBS}/i", "dockerfilePath": "D"},
                "properties": {"a": "b"},
            },
        ),
        ("data", {**DATA["properties"], "isAnonymous": True}),
        ("data", {"dataType": "uri_file", "dataUri": f"azureml://datastores/{DATASTORE}/paths/a"}),
    ],
)
async def test_get_returns_a_version_as_it_was_put(
    kind: str, properties: dict[str, Any], site: Site
) -> None:
    path = f"{kind}/mnist/versions/1"
    answer = await put(site, path, {"properties": properties})
    found = await shown(site, path)

    assert (answer.status_code, answer.json()) == (201, found)
    assert found["properties"].items() >= {**properties, "provisioningState": "Succeeded"}.items()
    assert (found["id"], found["name"]) == (arm_id(path), "1")
    assert found["type"] == f"Microsoft.MachineLearningServices/workspaces/{kind}/versions"
    assert set(found["systemData"]) == {"createdAt", "lastModifiedAt"}


async def test_a_version_is_immutable(site: Site) -> None:
    """The same content may be PUT again; description, tags and properties may differ."""
    path = "codes/score/versions/1"
    first = await put(site, path, code(site))
    again = await put(site, path, code(site))
    about = {**code(site)["properties"], "description": "new", "tags": {"a": "b"}}
    described = await put(site, path, {"properties": {**about, "properties": {"git": "1"}}})
    other = await put(site, path, code(site, "elsewhere"))

    assert [one.status_code for one in (first, again, described, other)] == [201, 200, 200, 409]
    assert "register another version" in other.json()["error"]["message"]
    found = (await shown(site, path))["properties"]
    assert (found["description"], found["properties"]) == ("new", {"git": "1"})
    assert found["codeUri"] == first.json()["properties"]["codeUri"]


async def test_a_container_names_the_latest_and_the_next_version(site: Site) -> None:
    """The latest version is the one registered last, even if its number is lower or not a number."""
    empty = await put(site, "models/heart", {"properties": {"description": "Hearts"}})
    body = {"properties": {"modelUri": f"{STORE}/model"}}
    versions = []
    for version in ("7", "3", "blue"):
        await put(site, f"models/heart/versions/{version}", body)
        properties = (await shown(site, "models/heart"))["properties"]
        versions.append((properties["latestVersion"], properties["nextVersion"]))

    assert empty.status_code == 201
    properties = empty.json()["properties"]
    assert (properties["latestVersion"], properties["nextVersion"]) == (None, "1")
    assert versions == [("7", "8"), ("3", "8"), ("blue", "8")]
    assert (await shown(site, "models/heart"))["properties"]["description"] == "Hearts"


async def test_a_container_is_created_with_its_first_version(site: Site) -> None:
    assert (await site.arm("GET", "data/mnist")).status_code == 404
    await put(site, "data/mnist/versions/1", DATA)
    found = await shown(site, "data/mnist")
    assert found["properties"]["dataType"] == "uri_folder"
    assert found["type"] == "Microsoft.MachineLearningServices/workspaces/data"


async def test_versions_and_containers_are_listed_in_pages(site: Site) -> None:
    site.ml.page_size = 2
    for version in "123":
        await put(site, f"codes/score/versions/{version}", code(site))
    for name in ("train", "clean"):
        await put(site, f"codes/{name}", {"properties": {}})
    assert await names(site, "codes/score/versions") == [["1", "2"], ["3"]]
    assert await names(site, "codes") == [["score", "train"], ["clean"]]
    assert (await site.arm("GET", "codes/none/versions")).status_code == 404


async def test_ids_match_in_upper_and_lower_case(site: Site) -> None:
    await put(site, "codes/Score/versions/V1", code(site))
    url = f"{site.ml.url}{arm_id('CODES/sCORE/VERSIONS/v1').swapcase()}?api-version=1"
    answer = await site.ml_request("GET", url, "https://management.azure.com")
    assert answer.status_code == 200
    assert answer.json()["id"] == arm_id("codes/Score/versions/V1")
    assert (await put(site, "codes/score/versions/v1", code(site))).status_code == 200
    assert await names(site, "codes/score/versions") == [["V1"]]


async def test_a_deleted_version_can_be_registered_again(site: Site) -> None:
    for version in "12":
        await put(site, f"data/mnist/versions/{version}", DATA)
    one = await site.arm("DELETE", "data/mnist/versions/2")
    nothing = await site.arm("DELETE", "data/mnist/versions/2")
    left = list(site.ml.data)
    other = {"properties": {**DATA["properties"], "dataUri": "https://example.org/other"}}
    anew = await put(site, "data/mnist/versions/2", other)
    all_ = await site.arm("DELETE", "data/mnist")

    assert [a.status_code for a in (one, nothing, anew, all_)] == [200, 204, 201, 200]
    assert left == [("mnist", "1")]
    assert (await site.arm("GET", "data/mnist/versions/1")).status_code == 404
    assert not site.ml.data


# --- data as input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        f"azureml://locations/{LOCATION}/workspaces/{WORKSPACE}/data/MNIST/versions/1/",
        arm_id("data/mnist/versions/1"),
    ],
)
async def test_data_that_was_put_can_be_scored(form: str, site: Site) -> None:
    await site.put(**{"in/a": "1"})
    uri = site.uri("in")
    await put(
        site, "data/mnist/versions/1", {"properties": {"dataType": "URI_FOLDER", "dataUri": uri}}
    )
    job = await site.run("rows", uri=form)
    assert (job.status, await site.get("out.csv")) == ("Completed", "a 1\n")


async def test_data_that_was_deleted_fails_the_invocation(site: Site) -> None:
    await put(site, "data/mnist/versions/1", DATA)
    await site.arm("DELETE", "data/mnist/versions/1")
    data = {"JobInputType": "UriFolder", "Uri": arm_id("data/mnist/versions/1")}
    answer = await site.post("rows", {"properties": {"InputData": {"i": data}}})
    assert answer.status_code == 400
    assert "no data asset mnist:1" in answer.text


# --- what is refused ----------------------------------------------------------------------------


def with_compute(**properties: Any) -> dict[str, Any]:
    own = {**COMPUTE["properties"]["properties"], **properties}  # type: ignore[index]
    return {**COMPUTE, "properties": {"computeType": "AmlCompute", "properties": own}}


@pytest.mark.parametrize(
    ("path", "body", "target"),
    [
        ("codes/c/versions/1", {}, "properties"),
        ("codes/c/versions/1", {"properties": {}}, "properties.codeUri"),
        ("codes/c/versions/1", {"properties": {"codeUri": None}}, "properties.codeUri"),
        ("codes/c/versions/1", {"properties": {"codeUri": 1}}, "properties.codeUri"),
        ("codes/c/versions/1", {"properties": {"codeUri": f"{STORE}/c"}}, "properties.codeUri"),
        (
            "codes/c/versions/1",
            {"properties": {"codeUri": "https://other.blob.core.windows.net/c/d"}},
            "properties.codeUri",
        ),
        ("codes/c/versions/1", {"properties": {"codeUri": BLOBS}}, "properties.codeUri"),
        ("codes/c/versions/1", {"properties": {"codeUri": BLOBS, "uri": 1}}, "properties.uri"),
        ("codes/c/versions/1", {"colour": "red", "properties": {"codeUri": BLOBS}}, "colour"),
        ("codes/-c/versions/1", {"properties": {"codeUri": f"{BLOBS}/c"}}, "name"),
        ("codes/c/versions/-1", {"properties": {"codeUri": f"{BLOBS}/c"}}, "version"),
        (
            "models/m/versions/1",
            {"properties": {"modelUri": "azureml://jobs/j/outputs/o"}},
            "properties.modelUri",
        ),
        (
            "models/m/versions/1",
            {"properties": {"modelUri": f"{STORE}/m", "modelType": "pickle"}},
            "properties.modelType",
        ),
        ("environments/e/versions/1", {"properties": {}}, "properties.image"),
        (
            "environments/e/versions/1",
            {"properties": {"image": "i", "osType": "BeOS"}},
            "properties.osType",
        ),
        (
            "data/d/versions/1",
            {"properties": {"dataType": "uri_file", "dataUri": "landing/a"}},
            "properties.dataUri",
        ),
        (
            "data/d/versions/1",
            {"properties": {"dataType": "uri_file", "dataUri": arm_id("data/e/versions/1")}},
            "properties.dataUri",
        ),
        (
            "data/d/versions/1",
            {"properties": {**DATA["properties"], "tags": {"a": 1}}},
            "properties.tags[...]",
        ),
        ("data/d", {"properties": {}}, "properties.dataType"),
        ("computes/cc", {"location": "l", "properties": {}}, "properties.computeType"),
        (
            "computes/cc",
            with_compute(scaleSettings={"maxNodeCount": 1, "minNodeCount": 2}),
            "properties.properties.scaleSettings",
        ),
        (
            "computes/cc",
            with_compute(scaleSettings={"maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "2m"}),
            "properties.properties.scaleSettings.nodeIdleTimeBeforeScaleDown",
        ),
        ("computes/cc", with_compute(vmPriority="Cheap"), "properties.properties.vmPriority"),
        ("computes/cc", with_compute(vmSize=None), "properties.properties.vmSize"),
        ("computes/cc", {**COMPUTE, "kind": "k"}, "kind"),
        ("computes/1c", COMPUTE, "name"),
        ("batchEndpoints/e_1", ENDPOINT, "name"),
        ("batchEndpoints/1e1", ENDPOINT, "name"),
        ("batchEndpoints/ee", ENDPOINT, "name"),
        (f"batchEndpoints/{'e' * 33}", ENDPOINT, "name"),
        ("batchEndpoints/heart", {"properties": ENDPOINT["properties"]}, "location"),
        (
            "batchEndpoints/heart",
            {"location": "l", "properties": {"authMode": "Key"}},
            "properties.authMode",
        ),
        (
            "batchEndpoints/rows",
            {
                **ENDPOINT,
                "properties": {"authMode": "AADToken", "defaults": {"deploymentName": "no"}},
            },
            "properties.defaults.deploymentName",
        ),
        ("batchEndpoints/rows/deployments/b_1", deployment(), "name"),
        (
            "batchEndpoints/rows/deployments/blue",
            deployment(miniBatchSize="many"),
            "properties.miniBatchSize",
        ),
        (
            "batchEndpoints/rows/deployments/blue",
            deployment(loggingLevel="Error"),
            "properties.loggingLevel",
        ),
        (
            "batchEndpoints/rows/deployments/blue",
            deployment(resources={"instanceCount": 0}),
            "properties.resources.instanceCount",
        ),
        (
            "batchEndpoints/rows/deployments/blue",
            deployment(deploymentConfiguration={}),
            "properties.deploymentConfiguration",
        ),
    ],
)
async def test_a_body_is_refused_with_details_and_nothing_is_created(
    path: str, body: dict[str, Any], target: str, site: Site
) -> None:
    before = await site.arm("GET", path)
    answer = await put(site, path, body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "ValidationError")
    assert [set(one) for one in error["details"]] == [{"code", "message", "target"}]
    assert [one["target"] for one in error["details"]] == [target]
    assert error["details"][0]["message"] in error["message"]
    after = await site.arm("GET", path)
    assert (after.status_code, after.json()) == (before.status_code, before.json())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"properties": 1}', b'{"\xff": 1}'])
async def test_a_malformed_body_is_refused(body: bytes, site: Site) -> None:
    answer = await site.arm("PUT", "codes/c/versions/1", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")


async def test_trailing_commas_are_ignored(site: Site) -> None:
    """The article's script has some; those in strings are kept."""
    body = '{"properties": {"codeUri": "%s/a", "description": "{,}",},}' % BLOBS  # noqa: UP031
    answer = await site.arm("PUT", "codes/c/versions/1", content=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["properties"]["description"] == "{,}"


async def test_a_document_from_get_can_be_put_again(site: Site) -> None:
    """Its read-only properties are ignored, as in ARM."""
    await put(site, "data/mnist/versions/1", DATA)
    await ended(site, await put(site, "batchEndpoints/heart", ENDPOINT))
    await ended(site, await put(site, "computes/cluster", COMPUTE))
    paths = ("data/mnist/versions/1", "data/mnist", "batchEndpoints/heart", "computes/cluster")
    for path in paths:
        answer = await put(site, path, await shown(site, path))
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "codes/c/versions/1"),
        ("PATCH", "batchEndpoints/rows"),
        ("PUT", "batchEndpoints"),
        ("DELETE", "computes"),
    ],
)
async def test_another_method_is_not_allowed(method: str, path: str, site: Site) -> None:
    answer = await site.arm(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "MethodNotAllowed")
    assert "GET" in answer.headers["Allow"]
