"""Long operations: answers to PUT and DELETE, polling, and plans."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from local.azureml import Failure, OperationPlan
from local.faults import Fault
from local.names import ML_AUDIENCE
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.azureml_requests import (
    COMPUTE,
    ENDPOINT,
    arm_id,
    deployment,
    done,
    ended,
    names,
    polled,
    prepared,
    put,
    shown,
    state,
)
from tests.local.site import SECONDS, Site, bearer, opened

HEART = "batchEndpoints/heart"
FOREVER = 600.0  # seconds: no test waits for it
QUOTA = Failure("QuotaExceeded", "no cores are left")


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        yield made


def lasts(site: Site, seconds: float = FOREVER, match: str = "", times: int | None = 1) -> None:
    site.ml.plan_operation(OperationPlan(seconds=seconds, match=match, times=times))


async def all_ended(site: Site) -> None:
    await site.ml.operations.until(
        lambda all_: all(one.ended is not None for one in all_), seconds=SECONDS
    )


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "body"), [("computes/cluster", COMPUTE), (HEART, ENDPOINT)])
async def test_a_put_is_polled_where_its_headers_say(path: str, body: object, site: Site) -> None:
    lasts(site)
    answer = await put(site, path, body)
    status, location = answer.headers["Azure-AsyncOperation"], answer.headers["Location"]
    meanwhile = (await polled(site, status)).json()
    waiting = await polled(site, location)

    assert answer.status_code == 201
    assert answer.json()["properties"]["provisioningState"] == "Creating"
    assert set(meanwhile) == {"id", "name", "status", "startTime"}
    assert meanwhile["status"] == "InProgress"
    assert waiting.status_code == 202

    site.ml.resume()
    end = await ended(site, answer)
    result = await polled(site, location)
    assert end["status"] == "Succeeded"
    assert datetime.fromisoformat(end["startTime"]) <= datetime.fromisoformat(end["endTime"])
    assert end["name"] == meanwhile["name"] == meanwhile["id"].rpartition("/")[2]
    assert (result.status_code, result.json()) == (200, await shown(site, path))
    assert await state(site, path) == "Succeeded"


async def test_endpoints_name_the_operation_in_their_properties_too(site: Site) -> None:
    answer = await put(site, HEART, {**ENDPOINT, "tags": {"a": "b"}})
    document = answer.json()
    assert document["properties"]["properties"] == {
        "AzureAsyncOperationUri": answer.headers["Azure-AsyncOperation"]
    }
    assert (document["tags"], document["location"]) == ({"a": "b"}, ENDPOINT["location"])
    assert document["properties"]["authMode"] == "AADToken"


async def test_a_second_put_answers_200_and_updates(site: Site) -> None:
    await done(site, HEART, ENDPOINT)
    lasts(site)
    body = {**ENDPOINT, "properties": {"authMode": "AADToken", "description": "Hearts"}}
    answer = await put(site, HEART.upper(), body)
    assert (answer.status_code, answer.json()["id"]) == (200, arm_id(HEART))
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    site.ml.resume()
    await ended(site, answer)
    assert (await shown(site, HEART))["properties"]["description"] == "Hearts"


async def test_a_delete_is_polled_until_the_resource_is_gone(site: Site) -> None:
    await done(site, "computes/cluster", COMPUTE)
    lasts(site)
    path = "computes/cluster?underlyingResourceAction=Delete"
    answer = await site.arm("DELETE", path)
    meanwhile = await state(site, "computes/cluster")
    waiting = await polled(site, answer.headers["Location"])
    site.ml.resume()
    end = await ended(site, answer)

    assert (answer.status_code, meanwhile, waiting.status_code) == (202, "Deleting", 202)
    assert end["status"] == "Succeeded"
    assert (await polled(site, answer.headers["Location"])).status_code == 204
    assert (await site.arm("GET", "computes/cluster")).status_code == 404
    assert (await site.arm("DELETE", path)).status_code == 204


async def test_deleting_a_compute_requires_an_action_for_the_machines(site: Site) -> None:
    await done(site, "computes/cluster", COMPUTE)
    answer = await site.arm("DELETE", "computes/cluster")
    (detail,) = answer.json()["error"]["details"]
    assert (answer.status_code, detail["target"]) == (400, "underlyingResourceAction")
    assert await state(site, "computes/cluster") == "Succeeded"


@pytest.mark.parametrize(("seconds", "retry_after"), [(0.5, None), (3.9, "3"), (FOREVER, "10")])
async def test_operations_of_a_second_or_more_have_retry_after(
    seconds: float, retry_after: str | None, site: Site
) -> None:
    site.ml.operation_seconds = seconds
    answer = await put(site, HEART, ENDPOINT)
    assert answer.headers.get("Retry-After") == retry_after
    if retry_after:
        status = await polled(site, answer.headers["Azure-AsyncOperation"])
        assert int(status.headers["Retry-After"]) <= int(retry_after)


async def test_polling_requires_a_token_for_management_and_a_known_name(site: Site) -> None:
    url = (await put(site, HEART, ENDPOINT)).headers["Azure-AsyncOperation"]
    for headers in ({}, bearer(ML_AUDIENCE)):
        assert (await site.client.get(url, headers=headers)).status_code == 401
    name = url.partition("?")[0].rpartition("/")[2]
    for place in (url, url.replace("OperationsStatus", "OperationResults")):
        assert (await polled(site, place.replace(name, "none"))).status_code == 404


async def test_computes_are_listed_in_pages(site: Site) -> None:
    site.ml.page_size = 1
    for name in ("small", "large"):
        await done(site, f"computes/{name}", COMPUTE)
    assert await names(site, "computes") == [["small"], ["large"]]


async def test_get_returns_a_compute_with_its_defaults(site: Site) -> None:
    await done(site, "computes/small", COMPUTE)
    found = (await shown(site, "computes/small"))["properties"]
    assert found["computeType"] == "AmlCompute"
    assert found["properties"] == {
        "osType": "Linux",
        "vmSize": "STANDARD_D2_V2",
        "vmPriority": "Dedicated",
        "scaleSettings": {
            "maxNodeCount": 5,
            "minNodeCount": 0,
            "nodeIdleTimeBeforeScaleDown": "PT120S",
        },
        "remoteLoginPortPublicAccess": "NotSpecified",
        "enableNodePublicIp": True,
    }


# --- one at a time ------------------------------------------------------------------------------


async def test_while_an_operation_runs_another_is_refused(site: Site) -> None:
    """Also after a wait for the operation has timed out."""
    lasts(site)
    await put(site, HEART, ENDPOINT)
    again = await put(site, HEART, ENDPOINT)
    delete = await site.arm("DELETE", HEART.upper())
    other = await put(site, "batchEndpoints/lung", ENDPOINT)
    with pytest.raises(TimeoutError):
        await site.ml.operations.until(
            lambda all_: all(one.ended is not None for one in all_), seconds=0.1
        )
    assert [one.status_code for one in (again, delete, other)] == [409, 409, 201]
    assert again.json()["error"]["code"] == "Conflict"
    assert await state(site, HEART) == "Creating"


async def test_an_endpoint_is_not_deleted_while_a_deployment_is_created(site: Site) -> None:
    await prepared(site)
    lasts(site, match="deployments")
    await put(site, "batchEndpoints/mnist/deployments/blue", deployment())
    refused = await site.arm("DELETE", "batchEndpoints/mnist")
    site.ml.resume()
    await all_ended(site)
    assert refused.status_code == 409
    assert await state(site, "batchEndpoints/mnist/deployments/blue") == "Succeeded"


async def test_no_deployment_is_created_while_its_endpoint_is_created_or_deleted(
    site: Site,
) -> None:
    await prepared(site)
    lasts(site, match="batchEndpoints", times=None)
    await put(site, HEART, ENDPOINT)
    await site.arm("DELETE", "batchEndpoints/mnist")
    creating = await put(site, f"{HEART}/deployments/blue", deployment())
    deleting = await put(site, "batchEndpoints/mnist/deployments/blue", deployment())
    assert [one.status_code for one in (creating, deleting)] == [409, 409]
    assert "Creating" in creating.text
    assert "Deleting" in deleting.text


# --- plans and faults ---------------------------------------------------------------------------


async def test_a_planned_failure_is_reported_and_another_put_repairs_it(site: Site) -> None:
    site.ml.plan_operation(OperationPlan(fails=QUOTA, match="^computes/cluster$"))
    answer = await put(site, "computes/cluster", COMPUTE)
    end = await ended(site, answer)
    result = await polled(site, answer.headers["Location"])

    assert (answer.status_code, end["status"]) == (201, "Failed")
    assert end["error"] == {"code": "QuotaExceeded", "message": "no cores are left"}
    assert (result.status_code, result.json()["error"]["code"]) == (400, "QuotaExceeded")
    assert await state(site, "computes/cluster") == "Failed"

    repaired = await put(site, "computes/cluster", COMPUTE)
    assert (repaired.status_code, (await ended(site, repaired))["status"]) == (200, "Succeeded")
    assert await state(site, "computes/cluster") == "Succeeded"


async def test_an_operation_may_be_canceled(site: Site) -> None:
    site.ml.plan_operation(OperationPlan(fails=Failure("Canceled", "by hand")))
    assert (await ended(site, await put(site, HEART, ENDPOINT)))["status"] == "Canceled"
    assert await state(site, HEART) == "Canceled"


async def test_a_failed_delete_leaves_the_resource(site: Site) -> None:
    await done(site, HEART, ENDPOINT)
    site.ml.plan_operation(OperationPlan(fails=QUOTA))
    assert (await ended(site, await site.arm("DELETE", HEART)))["status"] == "Failed"
    assert await state(site, HEART) == "Failed"
    assert (await ended(site, await site.arm("DELETE", HEART)))["status"] == "Succeeded"


async def test_plans_match_paths_and_are_used_up(site: Site) -> None:
    site.ml.plan_operation(OperationPlan(fails=QUOTA, match="/b", times=2))
    statuses = [
        (await ended(site, await put(site, f"batchEndpoints/{name}", ENDPOINT)))["status"]
        for name in ("a-1", "b-1", "b-2", "b-3")
    ]
    assert statuses == ["Succeeded", "Failed", "Failed", "Succeeded"]


async def test_operations_are_planned_from_another_process(site: Site) -> None:
    admin = f"{site.ml.url}/_admin"
    plan = {"match": "heart", "fails": {"code": "C", "message": "m"}, "seconds": 0, "times": None}
    answer = await site.client.post(f"{admin}/operation-plan", json=plan)
    mistakes = [
        (await site.client.post(f"{admin}/operation-plan", json=wrong)).status_code
        for wrong in ({"match": "("}, {"seconds": -1}, {"fails": {"code": "C"}}, {"colour": 1})
    ]
    switched = await site.client.post(f"{admin}/switches", json={"operation_seconds": FOREVER})
    errors = [(await ended(site, await put(site, HEART, ENDPOINT)))["error"] for _ in range(2)]
    await put(site, "batchEndpoints/lung", ENDPOINT)
    resumed = await site.client.post(f"{admin}/resume", json={})
    await all_ended(site)

    assert (answer.status_code, answer.json()) == (201, plan | {"skip": 0})
    assert mistakes == [400, 400, 400, 400]
    assert (switched.status_code, resumed.status_code) == (204, 204)
    assert errors == [{"code": "C", "message": "m"}] * 2
    assert await state(site, "batchEndpoints/lung") == "Succeeded"


async def test_an_answer_can_be_lost_after_the_effect(site: Site) -> None:
    fault = site.ml.faults.add(Fault(kind="drop-after", method="PUT", path="batchEndpoints"))
    with pytest.raises(Exception, match="disconnected"):
        await put(site, HEART, ENDPOINT)
    assert fault.met == 1
    await all_ended(site)
    assert await state(site, HEART) == "Succeeded"


async def test_an_operation_can_be_throttled(site: Site) -> None:
    headers = {"Retry-After": "7"}
    for method, path in (("PUT", "computes/"), ("GET", "mfeOperationsStatus")):
        refuse = Fault(kind="refuse", method=method, path=path, status=429, headers=headers)
        site.ml.faults.add(refuse)
    throttled = await put(site, "computes/cluster", COMPUTE)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    assert (await site.arm("GET", "computes/cluster")).status_code == 404
    answer = await put(site, "computes/cluster", COMPUTE)
    statuses = [
        (await polled(site, answer.headers["Azure-AsyncOperation"])).status_code for _ in range(2)
    ]
    assert statuses == [429, 200]
