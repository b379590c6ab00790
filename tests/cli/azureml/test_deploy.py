"""`deploy` as a command: what it prints, its exit codes, and Ctrl-C."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azure import Azure
from local.azureml.operations import Failure, OperationPlan
from local.faults import Fault
from tests.cli.azureml.samples import Samples
from tests.cli.conftest import Commands

LOCAL = Path(__file__).parents[3] / "local" / "deployments"


@pytest.fixture
async def samples(azure: Azure, tmp_path: Path) -> AsyncIterator[Samples]:
    yield Samples(tmp_path)
    azure.azureml.faults.forget()
    azure.storage.blob_faults.forget()
    azure.azureml.resume()


async def test_each_resource_is_a_row(command: Commands, samples: Samples) -> None:
    first = await command("deploy", *samples.all(), "--set-default")
    second = await command("deploy", *samples.all(), "--set-default")

    assert (first.code, second.code) == (0, 0)
    rows = [line.split() for line in first.out.splitlines()]
    assert ["compute", samples.compute_name, "created"] in rows
    assert ["deployment", f"{samples.endpoint_name}/first", "created"] in rows
    assert ["uploaded", "1", "file,"] in [row[4:7] for row in rows]
    assert "Succeeded" in first.err
    assert "nothing changed: everything is as described" in second.out


async def test_for_a_program_it_is_one_document(command: Commands, samples: Samples) -> None:
    file = samples.endpoint(colour="red")
    ended = await command("deploy", file, "--output", "json")

    assert ended.err == ""
    (made,) = ended.document["resources"]
    assert made == {
        "kind": "endpoint",
        "name": samples.endpoint_name,
        "version": None,
        "id": made["id"],
        "change": "created",
    }
    assert made["id"].endswith(f"/workspaces/landfall/batchEndpoints/{samples.endpoint_name}")
    assert ended.document["warnings"] == [f"{file}: colour: is unknown and has no effect"]


async def test_a_dry_run_prints_each_request(command: Commands, samples: Samples) -> None:
    text = await command("deploy", *samples.all(), "--dry-run")
    document = (await command("deploy", *samples.all(), "--dry-run", "-o", "json")).document

    paths = [line.split()[1] for line in text.out.splitlines() if line.startswith(("PUT", "UPL"))]
    assert document["dry_run"] is True
    assert paths == [one["path"] for one in document["requests"]]
    assert '"scoringScript": "score.py"' in text.out
    assert "nothing was changed: this was a dry run" in text.out
    assert {one["change"] for one in document["resources"]} == {"created"}
    assert "uploaded" not in text.out  # nothing was
    assert not any("uploaded" in one for one in document["resources"])


async def test_mistakes_of_files_end_it_with_2(command: Commands, samples: Samples) -> None:
    files = [samples.endpoint(name="x"), samples.compute(max_instances=-1)]
    ended = await command("deploy", *files)

    assert ended.code == 2
    assert "2 mistakes:" in ended.err
    assert f"{files[0]}: name: 'x' must be 3 to 32 letters" in ended.err
    assert f"{files[1]}: max_instances: Expected `int` >= 0" in ended.err


async def test_a_refusal_ends_it_with_3(azure: Azure, command: Commands, samples: Samples) -> None:
    failure = Failure(code="QuotaExceeded", message="No cores are left.")
    azure.azureml.plan_operation(OperationPlan(match=samples.compute_name, fails=failure))
    ended = await command("deploy", samples.compute(), "-o", "json")

    assert ended.code == 3
    assert ended.document["error"] == {
        "kind": "refused",
        "message": f"computes/{samples.compute_name}: the operation failed: QuotaExceeded:"
        " No cores are left.",
        "code": "QuotaExceeded",
    }


async def test_after_ctrl_c_the_same_command_goes_on(
    azure: Azure, command: Commands, samples: Samples
) -> None:
    for number in range(9):
        samples.write(f"model/part-{number}", f"{samples.number} {number}")
    fault = Fault(kind="hang-before", method="PUT", path="part-8")
    azure.storage.blob_faults.add(fault)
    process = await command.start("deploy", samples.model())
    await azure.storage.blob_faults.until_met(fault)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), timeout=60)
    azure.storage.blob_faults.forget()

    assert process.returncode == 130
    assert "interrupted; run the same command again to continue" in err.decode()
    ended = await command("deploy", samples.model(), "-o", "json")
    assert 1 <= ended.document["resources"][0]["uploaded"]["files"] < 10


async def test_the_local_deployments_deploy_as_they_are(azure: Azure, command: Commands) -> None:
    """With their compute, which is asked for before anything is sent."""
    azure.azureml.resources.remove("computes/cpu-cluster")
    files = sorted(LOCAL.glob("*/*.yml"))

    without = await command("deploy", *files)
    ended = await command("deploy", *files, LOCAL / "compute.yml", "-o", "json")

    assert without.code == 3
    assert "the workspace has no compute cpu-cluster: create it by a YAML file" in without.err
    assert ended.code == 0, ended.out
    assert "warnings" not in ended.document
    made = [(one["kind"], one["name"]) for one in ended.document["resources"]]
    assert made.count(("compute", "cpu-cluster")) == 1
    assert {("deployment", "cancer/forest"), ("deployment", "digits/vectors")} < {*made}
    for name in ("cancer", "digits"):
        assert azure.azureml.workspace.endpoints[name].default_deployment is not None
