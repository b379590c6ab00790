"""Requests to the control plane, as in Microsoft's article about batch endpoints."""

from typing import Any

import httpx

from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    LANDING_ACCOUNT,
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_ID,
)
from tests.local.site import SECONDS, Site

BLOBS = f"https://{LANDING_ACCOUNT}.blob.core.windows.net/{CONTAINER}"
STORE = (
    f"azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/workspaces/{WORKSPACE}/datastores/workspaceblobstore/paths"
)
COMPUTE = {
    "location": LOCATION,
    "properties": {
        "computeType": "AmlCompute",
        "properties": {
            "osType": "Linux",
            "vmSize": "STANDARD_D2_V2",
            "scaleSettings": {"maxNodeCount": 5, "minNodeCount": 0},
            "remoteLoginPortPublicAccess": "NotSpecified",
        },
    },
}
ENVIRONMENT = {
    "properties": {
        "condaFile": '{"dependencies": ["python=3.11", "pandas"]}\n',
        "image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04",
    }
}
ENDPOINT = {"location": LOCATION, "properties": {"authMode": "aadToken"}}


def arm_id(path: str) -> str:
    return f"{WORKSPACE_ID}/{path}"


def code(site: Site, folder: str = "code") -> dict[str, Any]:
    return {"properties": {"codeUri": f"{BLOBS}/{site.here}/{folder}", "description": "Scores"}}


def model(site: Site, path: str = "model") -> dict[str, Any]:
    return {"properties": {"modelUri": f"{STORE}/{site.here}/{path}"}}


def deployment(**changes: Any) -> dict[str, Any]:
    """Return the article's body of a deployment, which has numbers in quotes."""
    return {
        "location": LOCATION,
        "properties": {
            "model": {"referenceType": "Id", "assetId": arm_id("models/mnist/versions/1")},
            "codeConfiguration": {
                "codeId": arm_id("codes/score-mnist/versions/1"),
                "scoringScript": "score.py",
            },
            "environmentId": arm_id("environments/mnist-env/versions/1"),
            "compute": arm_id("computes/batch-cluster"),
            "resources": {"instanceCount": 1},
            "maxConcurrencyPerInstance": "4",
            "retrySettings": {"maxRetries": 0, "timeout": "PT30S"},
            "errorThreshold": "0",
            "loggingLevel": "info",
            "miniBatchSize": "5",
            **changes,
        },
    }


async def put(site: Site, path: str, body: Any) -> httpx.Response:
    return await site.arm("PUT", path, json=body)


async def shown(site: Site, path: str) -> dict[str, Any]:
    answer = await site.arm("GET", path)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def state(site: Site, path: str) -> str:
    return str((await shown(site, path))["properties"]["provisioningState"])


async def polled(site: Site, url: str) -> httpx.Response:
    return await site.ml_request("GET", url, ARM_AUDIENCE)


async def ended(site: Site, answer: httpx.Response) -> dict[str, Any]:
    """Wait for the end of the operation that an answer names; return its document."""
    assert answer.is_success, answer.text
    name = answer.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]
    await site.ml.operations.until(
        lambda all_: any(one.name == name and one.ended is not None for one in all_),
        seconds=SECONDS,
    )
    return dict((await polled(site, answer.headers["Azure-AsyncOperation"])).json())


async def done(site: Site, path: str, body: Any) -> None:
    """PUT, and wait until the operation has succeeded."""
    assert (await ended(site, await put(site, path, body)))["status"] == "Succeeded"


async def prepared(site: Site) -> None:
    """Create what a deployment needs: code, model, environment, compute and endpoint."""
    for path, body in (
        ("codes/score-mnist/versions/1", code(site)),
        ("models/mnist/versions/1", model(site)),
        ("environments/mnist-env/versions/1", ENVIRONMENT),
    ):
        assert (await put(site, path, body)).status_code == 201
    await done(site, "computes/batch-cluster", COMPUTE)
    await done(site, "batchEndpoints/mnist", ENDPOINT)


async def names(site: Site, collection: str) -> list[list[str]]:
    """Return the names in a collection, page by page."""
    pages, answer = [], (await site.arm("GET", collection)).json()
    pages.append([one["name"] for one in answer["value"]])
    while "nextLink" in answer:
        answer = (await polled(site, answer["nextLink"])).json()
        pages.append([one["name"] for one in answer["value"]])
    return pages
