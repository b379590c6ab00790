"""The Bicep compiler: judges bodies by the service's own types, without any network."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT

PROVIDER = "Microsoft.MachineLearningServices"

_SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
_VERDICT = re.compile(
    r"^.*\((?P<line>\d+),\d+\) : (?:Warning|Error) (?P<what>BCP.*)$", re.MULTILINE
)


def compiler() -> str:
    """Find the compiler; without one the test is skipped, or fails in continuous integration."""
    found = os.environ.get("BICEP") or shutil.which("bicep")
    beside = ROOT.parent / "shared" / "bin" / "bicep"
    if found is None and beside.exists():
        found = str(beside)
    if found is None:
        reason = "there is no Bicep compiler: name one by BICEP"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def bicep(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the compiler."""
    return subprocess.run(
        [compiler(), *map(str, arguments)],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def template(requests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ARM template that makes the resources of some PUTs."""
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [_resource(one, number) for number, one in enumerate(requests)],
    }


def _resource(request: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a resource; the number makes a difference between two PUTs to one path."""
    path, _, query = request["path"].partition("?")
    segments = path.partition(f"/providers/{PROVIDER}/")[2].split("/")
    return {
        "type": "/".join([PROVIDER, *segments[::2]]),
        "apiVersion": query.removeprefix("api-version="),
        "name": f"{'/'.join(segments[1::2])}-{number}",
        **request["body"],
    }


def verdicts(document: dict[str, Any], folder: Path) -> list[str]:
    """Return what the compiler finds wrong with a template."""
    source = folder / "bodies.json"
    source.write_text(json.dumps(document))
    _said("decompile", source, "--force")
    said = _said("lint", source.with_suffix(".bicep"))
    lines = source.with_suffix(".bicep").read_text().splitlines()
    return [
        f"{lines[int(found['line']) - 1].strip()}: {found['what']}"
        for found in _VERDICT.finditer(said)
    ]


def _said(*arguments: str | Path) -> str:
    ended = bicep(*arguments)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0 or "BCP" in said, said
    return said
