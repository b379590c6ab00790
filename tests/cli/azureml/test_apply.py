"""Bringing a workspace to the state that files describe, function by function."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from local.azure import Azure
from local.azureml.operations import Failure, OperationPlan
from local.azureml.resources import Resource
from local.faults import Fault
from scoring.cli.azureml.deploy.apply import Deployed, deploy
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from tests.cli.azureml.recording import recording
from tests.cli.azureml.samples import IMAGE, Samples

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
async def samples(azure: Azure, tmp_path: Path) -> AsyncIterator[Samples]:
    """Files; nothing is planned for their resources afterwards."""
    yield Samples(tmp_path)
    azure.azureml.faults.forget()
    azure.storage.blob_faults.forget()
    azure.azureml.resume()


def kinds(done: Deployed) -> dict[str, str]:
    """What became of each kind; for what is there once."""
    return {one.kind: one.change for one in done.resources}


async def endpoint(session: Session, samples: Samples) -> dict[str, Any]:
    found = await session.arm.get(f"batchEndpoints/{samples.endpoint_name}")
    assert found is not None
    return found


async def deployment(session: Session, samples: Samples, name: str = "first") -> dict[str, Any]:
    path = f"batchEndpoints/{samples.endpoint_name}/deployments/{name}"
    found = await session.arm.get(path)
    assert found is not None
    return found


# What is made, and that a second time nothing is


async def test_everything_is_made_in_the_order_of_what_refers_to_what(
    session: Session, samples: Samples
) -> None:
    done = await deploy(session, samples.all(), set_default=True)

    assert [(one.kind, one.change) for one in done.resources] == [
        ("compute", "created"),
        ("code", "created"),
        ("model", "created"),
        ("environment", "created"),
        ("endpoint", "created"),
        ("deployment", "created"),
        ("default", "updated"),
    ]
    shown = (await endpoint(session, samples))["properties"]
    assert shown["defaults"] == {"deploymentName": "first"}
    uploads = [one.uploaded.sent_files for one in done.resources if one.uploaded]
    assert uploads == [1, 1]


async def test_a_second_time_nothing_is_sent(
    azure: Azure, session: Session, samples: Samples
) -> None:
    await deploy(session, samples.all(), set_default=True)
    before = len(azure.storage.operations.log)
    refuse = [Fault(kind="refuse", method=m, times=-1, status=400) for m in ("PUT", "DELETE")]
    for fault in refuse:
        azure.azureml.faults.add(fault)

    done = await deploy(session, samples.all(), set_default=True)

    assert not done.changed
    assert set(kinds(done).values()) == {"unchanged"}
    assert len(azure.storage.operations.log) == before


async def test_a_dry_run_tells_exactly_what_is_sent(
    azure: Azure, session: Session, samples: Samples
) -> None:
    """Also the ids that are made on the way."""
    files = [*samples.all(), samples.model(), samples.data()]
    planned = await deploy(session, files, set_default=True, dry_run=True)
    assert await session.arm.get(f"computes/{samples.compute_name}") is None

    async with recording(azure.folder, azure.azureml.url) as recorder:
        session.arm._url = recorder.url
        await deploy(session, files, set_default=True)

    asked = msgspec.to_builtins([one for one in planned.requests if one.method == "PUT"])
    assert [
        {
            "method": one["method"],
            "path": f"{one['path']}?api-version={one['query']['api-version']}",
            "body": one["body"],
        }
        for one in recorder.changes()
    ] == asked
    assert [one.body for one in planned.requests if one.method == "UPLOAD"] == [
        {"files": 1, "bytes": len((samples.folder / "code/score.py").read_bytes())},
        *[{"files": 1, "bytes": len((samples.folder / "model/weights.txt").read_bytes())}] * 3,
    ]


async def test_only_what_changed_is_sent(session: Session, samples: Samples) -> None:
    await deploy(session, samples.all(), set_default=True)

    files = [samples.deployment(settings={"mini_batch_size": 3}), samples.endpoint()]
    done = await deploy(session, files, set_default=True)

    assert {kind for kind, change in kinds(done).items() if change != "unchanged"} == {"deployment"}
    assert (await deployment(session, samples))["properties"]["miniBatchSize"] == 3


async def test_new_code_is_a_new_version_of_the_deployment(
    session: Session, samples: Samples
) -> None:
    await deploy(session, samples.all())
    before = (await deployment(session, samples))["properties"]["codeConfiguration"]["codeId"]
    samples.write("code/score.py", "def run(batch): return []\n")

    done = await deploy(session, samples.all())

    assert kinds(done) | {"code": "created", "deployment": "updated"} == kinds(done)
    assert kinds(done)["model"] == "unchanged"
    after = (await deployment(session, samples))["properties"]["codeConfiguration"]["codeId"]
    assert after != before


# Registered versions


async def test_a_named_model_gets_the_next_version_when_its_content_changes(
    session: Session, samples: Samples
) -> None:
    versions = []
    for content in ("one", "one", "two", "two"):
        samples.write("model/weights.txt", content)
        done = await deploy(session, [samples.model()])
        versions.append((done.resources[0].version, done.resources[0].change))

    assert versions == [("1", "created"), ("1", "unchanged"), ("2", "created"), ("2", "unchanged")]


async def test_an_environment_gets_the_next_version_when_its_conda_file_changes(
    session: Session, samples: Samples
) -> None:
    versions = []
    for conda in ("name: a\n", "{name: a}  # the same\n", "name: b\n"):
        samples.write("conda.yml", conda)
        done = await deploy(session, [samples.environment(conda_file="conda.yml")])
        versions.append(done.resources[0].version)

    assert versions == ["1", "1", "2"]


async def test_a_version_that_is_said_does_not_change(session: Session, samples: Samples) -> None:
    """Also the refusal comes before anything is sent."""
    await deploy(session, [samples.model(version=4)])
    samples.write("model/weights.txt", "other")

    with pytest.raises(Refused, match="version 4 exists with other content"):
        await deploy(session, [samples.model(version=4), samples.compute()])

    assert await session.arm.get(f"computes/{samples.compute_name}") is None


async def test_what_may_change_of_a_version_does(session: Session, samples: Samples) -> None:
    await deploy(session, [samples.model(tags={"stage": "test"})])

    done = await deploy(session, [samples.model(tags={"stage": "live"})])

    assert [(one.version, one.change) for one in done.resources] == [("1", "updated")]
    assert done.resources[0].uploaded is None


async def test_latest_is_what_this_call_registers(session: Session, samples: Samples) -> None:
    reference = f"azureml:model-{samples.number}@latest"
    others = [samples.endpoint(), samples.compute()]
    files = [samples.deployment(model=reference), samples.model(), *others]
    for content in ("one", "two"):
        samples.write("model/weights.txt", content)
        await deploy(session, files)

    model = (await deployment(session, samples))["properties"]["model"]["assetId"]
    assert model.endswith(f"/models/model-{samples.number}/versions/2")


async def test_an_older_version_can_be_named(session: Session, samples: Samples) -> None:
    for content in ("one", "two"):
        samples.write("model/weights.txt", content)
        await deploy(session, [samples.model()])
    reference = f"azureml:model-{samples.number}:1"

    await deploy(
        session, [samples.deployment(model=reference), samples.endpoint(), samples.compute()]
    )

    model = (await deployment(session, samples))["properties"]["model"]["assetId"]
    assert model.endswith("/versions/1")


# What is refused before anything is sent


async def test_all_that_is_missing_is_told_at_once(session: Session, samples: Samples) -> None:
    files = [
        samples.deployment(model="azureml:nowhere:1", environment="azureml:nothing@latest"),
        samples.deployment("second"),
        samples.endpoint(defaults={"deployment_name": "third"}),
    ]

    with pytest.raises(Refused) as refused:
        await deploy(session, files)

    problems = str(refused.value).splitlines()
    assert "the workspace has no model nowhere version 1" in problems[0]
    assert (
        f"the workspace has no compute {samples.compute_name}: create it by a YAML file"
        in problems[1]
    )
    assert "its default deployment third does not exist" in problems[2]
    assert await session.arm.get(f"batchEndpoints/{samples.endpoint_name}") is None


async def test_a_deployment_needs_its_endpoint(session: Session, samples: Samples) -> None:
    with pytest.raises(
        Refused, match=f"the workspace has no batch endpoint {samples.endpoint_name}"
    ):
        await deploy(session, [samples.deployment(), samples.compute()])


async def test_two_cannot_both_be_the_default(session: Session, samples: Samples) -> None:
    files = [samples.deployment(), samples.deployment("second"), samples.endpoint()]

    with pytest.raises(UsageError, match="cannot both be the default"):
        await deploy(session, files, set_default=True)


# The default deployment


async def test_an_endpoint_keeps_its_default_when_it_changes(
    session: Session, samples: Samples
) -> None:
    await deploy(session, samples.all(), set_default=True)

    done = await deploy(session, [samples.endpoint(description="Now it says something")])

    shown = (await endpoint(session, samples))["properties"]
    assert kinds(done) == {"endpoint": "updated"}
    assert shown["defaults"] == {"deploymentName": "first"}
    assert shown["description"] == "Now it says something"


async def test_another_default_takes_nothing_else_from_the_endpoint(
    session: Session, samples: Samples
) -> None:
    await deploy(
        session,
        [
            samples.deployment(),
            samples.endpoint(description="Counts", tags={"team": "a"}, properties={"x": "y"}),
            samples.compute(),
        ],
        set_default=True,
    )

    await deploy(session, [samples.deployment("second")], set_default=True)

    shown = await endpoint(session, samples)
    assert shown["tags"] == {"team": "a"}
    assert shown["properties"]["description"] == "Counts"
    assert shown["properties"]["properties"]["x"] == "y"
    assert shown["properties"]["defaults"] == {"deploymentName": "second"}


async def test_an_endpoint_keeps_the_identity_that_it_was_given(
    session: Session, samples: Samples
) -> None:
    await deploy(session, samples.all(), set_default=True)
    given = {"type": "UserAssigned", "userAssignedIdentities": {"/subscriptions/s/mine": {}}}
    path, there = f"batchEndpoints/{samples.endpoint_name}", await endpoint(session, samples)
    defaults = {"authMode": "aadToken", "defaults": there["properties"]["defaults"]}
    body = {"location": there["location"], "identity": given, "properties": defaults}
    await session.arm.put(path, body)

    await deploy(session, [samples.endpoint(description="Now it says something")])

    shown = await endpoint(session, samples)
    assert shown["properties"]["description"] == "Now it says something"
    assert shown["identity"] == given


async def test_the_endpoints_file_may_name_the_default(session: Session, samples: Samples) -> None:
    files = [
        samples.deployment(),
        samples.endpoint(defaults={"deployment_name": "first"}),
        samples.compute(),
    ]

    await deploy(session, files)

    shown = (await endpoint(session, samples))["properties"]
    assert shown["defaults"] == {"deploymentName": "first"}


# What goes wrong


async def test_a_failing_operation_ends_it_and_the_next_run_goes_on(
    azure: Azure, session: Session, samples: Samples
) -> None:
    failure = Failure(code="ImageBuildFailed", message="conda has lost its mind")
    plan = OperationPlan(match="deployments/first", fails=failure)
    azure.azureml.plan_operation(plan)

    with pytest.raises(Refused, match=r"deployments/first: .*ImageBuildFailed: conda has lost"):
        await deploy(session, samples.all(), set_default=True)

    done = await deploy(session, samples.all(), set_default=True)
    assert kinds(done) == {
        "compute": "unchanged",
        "code": "unchanged",
        "model": "unchanged",
        "environment": "unchanged",
        "endpoint": "unchanged",
        "deployment": "updated",
        "default": "updated",
    }
    assert (await deployment(session, samples))["properties"]["provisioningState"] == "Succeeded"


async def test_what_an_interrupted_run_began_is_waited_for(
    azure: Azure, session: Session, samples: Samples
) -> None:
    azure.azureml.plan_operation(OperationPlan(match="deployments/first", seconds=0.9))
    path = f"batchEndpoints/{samples.endpoint_name}/deployments/first"
    put = azure.azureml.faults.add(Fault(kind="hang-after", method="PUT", path=path))
    deploying = asyncio.ensure_future(deploy(session, samples.all()))
    await azure.azureml.faults.until_met(put)
    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying

    done = await deploy(session, samples.all())

    assert kinds(done)["deployment"] == "unchanged"
    assert (await deployment(session, samples))["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize("kind", ["drop-after", "drop-before", "half-after", "error-after"])
async def test_lost_answers_do_no_harm(
    azure: Azure, session: Session, samples: Samples, kind: Any
) -> None:
    """Each PUT's answer is lost once; what was created is reported as created."""
    for path in ("computes", "codes", "models", "environments", "deployments/"):
        azure.azureml.faults.add(Fault(kind=kind, method="PUT", path=f"/{path}"))
    azure.azureml.faults.add(
        Fault(kind=kind, method="PUT", path=f"{samples.endpoint_name}\\?", times=2)
    )

    done = await deploy(session, samples.all(), set_default=True)

    assert [one.change for one in done.resources] == [*["created"] * 6, "updated"]
    assert all(fault.met for fault in azure.azureml.faults.pending)
    shown = (await endpoint(session, samples))["properties"]
    assert shown["defaults"] == {"deploymentName": "first"}


async def test_nothing_is_registered_before_all_is_uploaded(
    azure: Azure, session: Session, samples: Samples
) -> None:
    for number in range(9):
        samples.write(f"model/part-{number}", f"{samples.number} {number}")
    hang = azure.storage.blob_faults.add(Fault(kind="hang-before", method="PUT", path="part-8"))
    deploying = asyncio.ensure_future(deploy(session, [samples.model()]))
    await azure.storage.blob_faults.until_met(hang)

    assert await session.arm.get(f"models/model-{samples.number}") is None

    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying
    azure.storage.blob_faults.forget()
    done = await deploy(session, [samples.model()])
    uploaded = done.resources[0].uploaded
    assert uploaded is not None
    assert 1 <= uploaded.sent_files < uploaded.files


# Two at once


async def test_two_who_deploy_the_same_at_once_both_end_well(
    session: Session, samples: Samples
) -> None:
    both = await asyncio.gather(
        *(deploy(session, samples.all(), set_default=True) for _ in range(2))
    )

    assert all(set(kinds(done)) == set(kinds(both[0])) for done in both)
    shown = (await endpoint(session, samples))["properties"]
    assert shown["defaults"] == {"deploymentName": "first"}
    assert not (await deploy(session, samples.all(), set_default=True)).changed


async def test_who_comes_second_builds_on_what_the_first_did(
    azure: Azure, session: Session, samples: Samples
) -> None:
    """What it compared with is older than the default that it must not remove.

    look ── PUT (slow) ───────► 409 ── wait ── look ── PUT
              PUT of a default ──── runs ───┘
    """
    await deploy(session, samples.all())
    path = f"batchEndpoints/{samples.endpoint_name}"
    slow = Fault(kind="delay", method="PUT", path=path, seconds=1.0)
    azure.azureml.faults.add(slow)
    describing = asyncio.ensure_future(deploy(session, [samples.endpoint(description="changed")]))
    await azure.azureml.faults.until_met(slow)
    azure.azureml.plan_operation(OperationPlan(match=path, seconds=3))
    await deploy(session, [samples.deployment()], set_default=True)
    await describing

    shown = (await endpoint(session, samples))["properties"]
    assert shown["description"] == "changed"
    assert shown["defaults"] == {"deploymentName": "first"}


async def test_two_models_of_one_name_at_once_get_two_versions(
    azure: Azure, session: Session, samples: Samples, tmp_path: Path
) -> None:
    """Both chose version 1: the second one compares again."""
    other = Samples(tmp_path / "other")
    name = f"both-{samples.number}"
    files = [samples.model(name=name), other.model(name=name)]

    done = await asyncio.gather(*(deploy(session, [file]) for file in files))

    assert sorted(str(one.resources[0].version) for one in done) == ["1", "2"]


async def test_what_somebody_else_registered_meanwhile_is_found(
    azure: Azure, session: Session, samples: Samples
) -> None:
    await deploy(session, [samples.environment()])
    path = f"environments/environment-{samples.number}"
    there = azure.azureml.resources.get(f"{path}/versions/1")
    assert there is not None
    azure.azureml.resources.add(Resource(path=f"{path}/versions/2", body=there.body))

    done = await deploy(session, [samples.environment()])

    assert [(one.version, one.change) for one in done.resources] == [("2", "unchanged")]


async def test_the_same_inline_definition_is_registered_once(
    session: Session, samples: Samples
) -> None:
    environment = {"name": f"shared-{samples.number}", "image": IMAGE}
    files = [
        samples.deployment(environment=environment),
        samples.deployment("second", environment=environment),
        samples.endpoint(),
        samples.compute(),
    ]

    done = await deploy(session, files)

    assert [one.kind for one in done.resources].count("environment") == 1
    assert not (await deploy(session, files)).changed
