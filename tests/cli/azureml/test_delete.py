"""`delete ENDPOINT`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azure import Azure
from local.azureml.operations import OperationPlan
from local.faults import Fault
from scoring.cli.azureml.delete import delete_endpoint, deployments_of
from scoring.cli.azureml.deploy.apply import deploy
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from tests.cli.azureml.samples import Samples
from tests.cli.conftest import Commands


@pytest.fixture
async def samples(azure: Azure, session: Session, tmp_path: Path) -> AsyncIterator[Samples]:
    """An endpoint with a deployment."""
    made = Samples(tmp_path)
    await deploy(session, made.all(), set_default=True)
    yield made
    azure.azureml.faults.forget()
    azure.azureml.resume()


async def is_there(session: Session, samples: Samples) -> bool:
    return await session.arm.get(f"batchEndpoints/{samples.endpoint_name}") is not None


async def test_an_endpoint_goes_with_its_deployments(
    command: Commands, session: Session, samples: Samples
) -> None:
    name = samples.endpoint_name
    ended = await command("delete", name, "--yes", "--output", "json")

    assert ended.code == 0
    assert [(one["kind"], one["name"], one["change"]) for one in ended.document["resources"]] == [
        ("endpoint", name, "deleted"),
        ("deployment", f"{name}/first", "deleted"),
    ]
    assert not await is_there(session, samples)


async def test_without_yes_nobody_is_there_to_ask(
    command: Commands, session: Session, samples: Samples
) -> None:
    ended = await command("delete", samples.endpoint_name)

    assert ended.code == 2
    assert f"Delete endpoint {samples.endpoint_name} with its deployments first?" in ended.err
    assert await is_there(session, samples)


async def test_what_is_not_there_is_refused(session: Session) -> None:
    with pytest.raises(Refused, match="the workspace has no batch endpoint nowhere"):
        await deployments_of(session, "nowhere")
    with pytest.raises(UsageError, match="is not a name of an endpoint"):
        await deployments_of(session, "a/deployments/b")


@pytest.mark.parametrize("kind", ["drop-after", "error-after"])
async def test_a_lost_answer_does_no_harm(
    azure: Azure, session: Session, samples: Samples, kind: str
) -> None:
    fault = Fault(kind=kind, method="DELETE")  # type: ignore[arg-type]
    azure.azureml.faults.add(fault)

    await delete_endpoint(session, samples.endpoint_name)

    assert fault.met == 1
    assert not await is_there(session, samples)


async def test_an_operation_on_a_deployment_is_waited_for(
    azure: Azure, session: Session, samples: Samples
) -> None:
    azure.azureml.plan_operation(OperationPlan(match="deployments/second", seconds=0.9))
    path = f"batchEndpoints/{samples.endpoint_name}/deployments/second"
    body = await session.arm.get(path.replace("second", "first"))
    assert body is not None
    put = {"location": body["location"], "properties": body["properties"]}
    runs = asyncio.Event()
    putting = asyncio.ensure_future(session.arm.put(path, put, lambda _: runs.set()))
    await runs.wait()

    await delete_endpoint(session, samples.endpoint_name)

    assert not await is_there(session, samples)
    await asyncio.gather(putting, return_exceptions=True)


async def test_a_workspace_that_is_not_there_is_not_taken_for_an_endpoint_that_is_gone(
    command: Commands,
) -> None:
    refused = await command("delete", "gone", "--yes", "--workspace", "mistyped")
    assert refused.code == 3
    assert "mistyped" in refused.err
    assert "no batch endpoint" not in refused.err
