"""The control plane of the local workspace."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    LOCATION,
    ML_AUDIENCE,
    WORKSPACE,
    WORKSPACE_ID,
)
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.site import Site, bearer, opened, pids_in, pids_script, until_ended


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


async def test_the_default_datastore_names_account_and_container(site: Site) -> None:
    (store,) = (await site.arm("GET", "datastores?isDefault=true")).json()["value"]
    assert store["id"] == f"{WORKSPACE_ID}/datastores/{DATASTORE}"
    assert store["name"] == DATASTORE
    assert (
        store["properties"].items()
        >= {
            "datastoreType": "AzureBlob",
            "accountName": LANDING_ACCOUNT,
            "containerName": CONTAINER,
            "endpoint": "core.windows.net",
            "protocol": "https",
        }.items()
    )
    assert (await site.arm("GET", f"datastores/{DATASTORE}")).json() == store


async def test_the_workspace_has_its_id_and_location(site: Site) -> None:
    url = f"{site.ml.url}{WORKSPACE_ID}?api-version=2022-05-01"
    found = (await site.ml_request("GET", url, ARM_AUDIENCE)).json()
    assert (found["id"], found["name"], found["location"]) == (WORKSPACE_ID, WORKSPACE, LOCATION)
    assert found["type"] == "Microsoft.MachineLearningServices/workspaces"


async def test_datastores_come_in_pages_and_a_lake_has_a_filesystem(site: Site) -> None:
    site.ml.page_size = 1
    first = (await site.arm("GET", "datastores")).json()
    second = (await site.ml_request("GET", first["nextLink"], ARM_AUDIENCE)).json()
    (lake,) = second["value"]
    assert [store["name"] for store in first["value"]] == [DATASTORE]
    assert lake["properties"]["datastoreType"] == "AzureDataLakeGen2"
    assert "filesystem" in lake["properties"]
    assert "containerName" not in lake["properties"]
    assert "nextLink" not in second


async def test_an_endpoint_names_its_scoring_uri_and_default_deployment(site: Site) -> None:
    endpoint = (await site.arm("GET", "batchEndpoints/table-endpoint")).json()
    listed = (await site.arm("GET", "batchEndpoints")).json()["value"]
    assert (
        endpoint["properties"].items()
        >= {
            "scoringUri": site.ml.scoring_uri("table-endpoint"),
            "defaults": {"deploymentName": "threefold"},
            "description": "Multiplies numbers",
        }.items()
    )
    assert endpoint in listed
    assert {one["name"] for one in listed} == {"rows", "table-endpoint"}


async def test_the_run_folder_has_the_addresses_of_arm_and_the_endpoints(
    site: Site, folder: RunFolder
) -> None:
    addresses = folder.addresses()["azureml"]
    assert addresses["arm"] == site.ml.url
    assert addresses["endpoints"]["rows"] == f"{site.ml.scoring_url}/endpoints/rows/jobs"
    assert site.ml.scoring_url != site.ml.url, "a token for the one must not go to the other"


@pytest.mark.parametrize("headers", [{}, bearer(ML_AUDIENCE), bearer(ARM_AUDIENCE, lifetime=-1)])
async def test_arm_requires_a_token_for_management(headers: dict[str, str], site: Site) -> None:
    url = f"{site.ml.url}{WORKSPACE_ID}/datastores?api-version=2022-05-01"
    answer = await site.client.get(url, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (
        401,
        "InvalidAuthenticationToken",
    )


async def test_arm_requires_an_api_version(site: Site) -> None:
    answer = await site.ml_request("GET", f"{site.ml.url}{WORKSPACE_ID}/datastores", ARM_AUDIENCE)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "MissingApiVersionParameter"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "datastores/none"),
        ("GET", "batchEndpoints/none"),
        ("POST", "jobs/none/cancel"),
        ("GET", "colours"),
    ],
)
async def test_a_missing_resource_or_path_is_not_found(method: str, path: str, site: Site) -> None:
    answer = await site.arm(method, path)
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"code", "message"}


async def test_another_workspace_is_not_found(site: Site) -> None:
    path = WORKSPACE_ID.replace(f"workspaces/{WORKSPACE}", "workspaces/other")
    url = f"{site.ml.url}{path}/datastores?api-version=2022-05-01"
    answer = await site.ml_request("GET", url, ARM_AUDIENCE)
    assert (answer.status_code, "'other'" in answer.text) == (404, True)


async def test_a_cancel_ends_a_job_and_its_processes(site: Site, tmp_path: Path) -> None:
    """Also those that the script has started. A second cancel or one after the end has no effect."""
    await site.put(**{"in/a": "1"})
    name = await site.invoke(site.deploy(pids_script(tmp_path / "pids")))
    pids = await pids_in(tmp_path / "pids")
    site.ml.step_seconds = 0.2
    answers = [(await site.arm("POST", f"jobs/{name}/cancel")).status_code for _ in range(2)]
    seen = site.ml.jobs[name].status
    await site.until(name, "Canceled")
    after = await site.arm("POST", f"jobs/{name}/cancel")
    assert (answers, seen, after.status_code) == ([202, 202], "CancelRequested", 200)
    assert site.ml.jobs[name].status == "Canceled"
    assert await site.get("out.csv") is None
    await until_ended(pids)
