"""A security scan of all that is deployed: what it finds is explained beside the resource."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.infra.deployment import INFRA, SIZES, snapshot
from tests.worker.environment import python_with

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def scanner() -> Path:
    """Return the program, which has an environment of its own."""
    pins = Path(__file__).with_name("requirements.txt")
    python = python_with(pins, "{}.{}".format(*sys.version_info), ".venv-scan")
    assert python
    return python.with_name("checkov")


def findings(size: str, folder: Path) -> set[tuple[str, str]]:
    """Return (type of resource, check) of what checkov finds in a snapshot.

    It does not look into the modules of a compiled template, so it is given their resources.
    """
    document = folder / f"{size}.json"
    resources = snapshot(size)["predictedResources"]
    document.write_text(
        json.dumps({"$schema": _SCHEMA, "contentVersion": "1.0.0.0", "resources": resources})
    )
    options = ["--framework", "arm", "--output", "json", "--skip-download", "--soft-fail"]
    said = subprocess.run(
        [scanner(), "--file", str(document), *options],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    told = json.loads(said.stdout)
    assert told["summary"]["passed"] > 0
    return {(_kind(one["resource"]), one["check_id"]) for one in told["results"]["failed_checks"]}


def _kind(resource: str) -> str:
    """Return the type in `Microsoft.Web/sites.<name>`."""
    provider, _, rest = resource.partition("/")
    return f"{provider}/{rest.partition('.')[0]}"


def explained() -> set[tuple[str, str]]:
    """Return (type of resource, check) of the comments right above the resources."""
    found = set[tuple[str, str]]()
    for source in INFRA.rglob("*.bicep"):
        above = r"((?:^//.*\n)+)^resource \w+ '([^@']+)@"
        for comment, kind in re.findall(above, source.read_text("utf-8"), re.MULTILINE):
            found |= {(kind, check) for check in re.findall(r"CKV\w+", comment)}
    return found


def test_every_finding_is_explained_and_nothing_else_is(tmp_path: Path) -> None:
    assert set().union(*(findings(size, tmp_path) for size in SIZES)) == explained()
