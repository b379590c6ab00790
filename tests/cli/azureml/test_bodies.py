"""Every body that is PUT is one that the service's own types accept."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scoring.cli.azureml.deploy.apply import deploy
from scoring.cli.session import Session
from tests.bicep import template, verdicts

YAML = Path(__file__).parent / "yaml"


@pytest.fixture
async def requests(session: Session) -> list[dict[str, Any]]:
    """What `deploy` PUTs for all samples."""
    found: list[dict[str, Any]] = []
    for folder in (YAML, YAML / "article"):
        files = sorted(folder.glob("*.yml"))
        planned = await deploy(session, files, set_default=folder != YAML, dry_run=True)
        found += msgspec.to_builtins([one for one in planned.requests if one.method == "PUT"])
    return found


async def test_the_service_would_take_every_body(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    kinds = {one["path"].split("?")[0].split("/")[-2] for one in requests}

    assert kinds == {"computes", "versions", "batchEndpoints", "deployments"}
    assert verdicts(template(requests), tmp_path) == []


async def test_the_judge_finds_what_is_wrong(
    requests: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A wrong value and an unknown property, else the test above would prove nothing."""
    (wrong,) = (copy.deepcopy(x) for x in requests if "/deployments/older?" in x["path"])
    wrong["body"]["properties"]["miniBatchSize"] = "ten"
    wrong["body"]["properties"]["miniBatchTime"] = 10

    found = verdicts(template([wrong]), tmp_path)

    assert [one.split(":")[0] for one in found] == ["miniBatchSize", "miniBatchTime"]
