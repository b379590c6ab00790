"""`walk`: what docs/walkthrough.md does not show of it."""

from pathlib import Path

import pytest

from local.azure import APP, Azure
from tests.cli.conftest import Commands

FILES = sorted((APP / "local" / "walkthrough").glob("*.yml"))
COMPUTE = APP / "local" / "deployments" / "compute.yml"
DIGITS = APP / "local" / "samples" / "digits"


async def test_for_programs_it_is_one_document(command: Commands, tmp_path: Path) -> None:
    done = await command(
        "walk", COMPUTE, *FILES, "--folder", DIGITS, "--to", tmp_path, "-o", "json"
    )
    assert (done.code, done.err) == (0, "")
    document = done.document
    assert "digits-walk/vectors" in [one["name"] for one in document["resources"]]
    assert document["state"] == "Completed"
    assert document["rows"][0] == ["digit-000.png", "1"]
    assert Path(document["files"][0]).parent == tmp_path


@pytest.mark.parametrize(
    "files", [[COMPUTE], [*FILES, APP / "local/deployments/digits/deployment.yml"]]
)
async def test_without_a_single_deployment_nothing_is_changed(
    command: Commands, azure: Azure, files: list[Path]
) -> None:
    endpoints = azure.azureml.resources.within("batchEndpoints")
    refused = await command("walk", *files, "--folder", DIGITS)
    assert refused.code == 2
    assert "deployments: name those of exactly one" in refused.err
    assert azure.azureml.resources.within("batchEndpoints") == endpoints


async def test_a_folder_that_is_not_empty_is_refused_before_a_batch_job_is_paid_for(
    command: Commands, azure: Azure, tmp_path: Path
) -> None:
    (tmp_path / "predictions.csv").touch()
    before = len(azure.azureml.jobs)
    refused = await command("walk", COMPUTE, *FILES, "--folder", DIGITS, "--to", tmp_path)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert len(azure.azureml.jobs) == before
