"""The workbook and the alerts, as they would be deployed."""

import functools
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.cli.bicep import ROOT
from tests.infra import kql
from tests.infra.deployment import SUBSCRIPTION, bicep

SOURCE = ROOT / "infra" / "monitoring.bicep"
PARAMETERS = Path(__file__).parent / "monitoring.bicepparam"


def run(*arguments: str | Path) -> str:
    """Run the compiler, which is to have nothing to say."""
    ended = bicep(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert not re.search(r" : (?:Warning|Error|Info) ", ended.stderr), ended.stderr
    return ended.stdout


@functools.cache
def resources() -> list[dict[str, Any]]:
    """Return what would be deployed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tests" / "infra" / PARAMETERS.name
        copy.parent.mkdir(parents=True)
        shutil.copy(PARAMETERS, copy)
        shutil.copytree(ROOT / "infra", Path(folder) / "infra")
        where = ["--subscription-id", SUBSCRIPTION, "--resource-group", "scoring"]
        where += ["--location", "westeurope"]
        run("snapshot", copy, "--mode", "overwrite", *where)
        said = json.loads(copy.with_suffix(".snapshot.json").read_text("utf-8"))
    predicted: list[dict[str, Any]] = said["predictedResources"]
    return predicted


def of(kind: str) -> list[dict[str, Any]]:
    """Return the resources of a type."""
    return [one for one in resources() if one["type"] == f"Microsoft.Insights/{kind}"]


def alerts() -> dict[str, dict[str, Any]]:
    """Return the properties of each log alert."""
    return {
        rule["name"].removeprefix("hearts-"): rule["properties"]
        for rule in of("scheduledQueryRules")
    }


def conditions() -> dict[str, dict[str, Any]]:
    """Return the condition of each log alert."""
    return {name: alert["criteria"]["allOf"][0] for name, alert in alerts().items()}


def query_of(deployed: str) -> str:
    """Return the name of the file that a query comes from."""
    (name,) = [name for name in kql.names() if kql.deployed(kql.text(name)) == deployed]
    return name
