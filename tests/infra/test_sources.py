"""The Bicep files: clean, described, and what they deploy is kept beside them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.bicep import bicep
from tests.infra.deployment import INFRA, SIZES, snapshot_of, template, templates

SOURCES = sorted(path.relative_to(INFRA) for path in INFRA.rglob("*.bicep*"))
FOR_AZD = {
    "AZURE_ENV_NAME": "test",
    "AZURE_LOCATION": "westeurope",
    "AZUREML_ARM_WORKSPACE_NAME": "hearts",
    "AZUREML_ARM_RESOURCEGROUP": "scoring",
}
REQUIRED = {"environmentName", "location", "workspaceName", "workspaceResourceGroup"}


@pytest.mark.parametrize("source", ["main.bicep", *(f"{size}.bicepparam" for size in SIZES)])
def test_the_compiler_finds_nothing_to_say(source: str) -> None:
    """It reads the modules, too."""
    judged = bicep("lint", INFRA / source)
    assert (judged.stdout + judged.stderr).strip() == ""
    assert judged.returncode == 0


def test_every_module_is_used_by_main() -> None:
    """What is not, nobody has compiled."""
    used, waiting = set[Path](), [INFRA / "main.bicep"]
    while waiting:
        source = waiting.pop()
        used.add(source.relative_to(INFRA))
        named = re.findall(r"^module \w+ '(.+?)'", source.read_text("utf-8"), re.MULTILINE)
        waiting += [(source.parent / one).resolve() for one in named]
    assert used == {source for source in SOURCES if source.suffix == ".bicep"}


def test_the_formatter_changes_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy)
    for pattern in ("**/*.bicep", "*.bicepparam"):
        assert bicep("format", "--pattern", copy / pattern).returncode == 0
    changed = [one for one in SOURCES if (copy / one).read_bytes() != (INFRA / one).read_bytes()]
    assert changed == []


@pytest.mark.parametrize("size", SIZES)
def test_the_snapshot_is_what_would_be_deployed(size: str) -> None:
    compared = snapshot_of(INFRA / f"{size}.bicepparam", "validate")
    assert compared.returncode == 0, (
        "`make snapshots` renews them: look at what changes, and run the tests again.\n"
        + (compared.stdout + compared.stderr)
    )


def built_with(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**FOR_AZD, **variables}
    return bicep("build-params", INFRA / "main.bicepparam", "--stdout", **environment)


def given_with(**variables: str) -> dict[str, Any]:
    """Return the values of the parameters that azd gives in such an environment."""
    built = built_with(**variables)
    assert built.returncode == 0, built.stderr
    given = json.loads(json.loads(built.stdout)["parametersJson"])["parameters"]
    return {name: one["value"] for name, one in given.items()}


def test_four_variables_are_enough_for_azd() -> None:
    assert {name for name, value in given_with().items() if value != []} >= REQUIRED


@pytest.mark.parametrize("kind", ["User", "ServicePrincipal"])
def test_who_deploys_by_azd_is_an_operator(kind: str) -> None:
    given = given_with(AZURE_PRINCIPAL_ID="me", AZURE_PRINCIPAL_TYPE=kind)
    assert given["operators"] == [{"principalId": "me", "principalType": kind}]


ACCOUNT = {"name": "hearts", "resourceGroup": "scoring", "outputs": ["data"]}


def test_azd_takes_storage_accounts_as_json() -> None:
    given = given_with(LANDFALL_STORAGE_ACCOUNTS=json.dumps([ACCOUNT]))
    assert given["storageAccounts"] == [ACCOUNT]


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        (json.dumps([ACCOUNT | {"systemtopic": "x"}]), '"systemtopic" is not allowed'),
        (
            json.dumps([ACCOUNT | {"landing": [{"container": "data", "prefix": ["a/"]}]}]),
            'Did you mean "prefixes"?',
        ),
        ("[{name: a}]", "main.bicepparam"),
    ],
)
def test_mistakes_in_the_storage_accounts_are_told(accounts: str, told: str) -> None:
    said = built_with(LANDFALL_STORAGE_ACCOUNTS=accounts)
    assert said.returncode != 0
    assert told in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        ([ACCOUNT, ACCOUNT], "storageAccounts: hearts is named twice"),
        (
            [ACCOUNT | {"landing": [{"container": "a", "prefixes": [f"{n}/" for n in range(21)]}]}],
            "more than 20 paths and containers are watched in hearts",
        ),
    ],
)
def test_what_only_the_service_can_tell_is_told_before_anything_is_created(
    tmp_path: Path, accounts: list[dict[str, object]], told: str
) -> None:
    shutil.copytree(INFRA, tmp_path / "infra")
    source = tmp_path / "infra" / "smallest.bicepparam"
    with source.open("a") as file:
        file.write(f"param storageAccounts = json('{json.dumps(accounts)}')\n")
    said = snapshot_of(source, "overwrite")
    assert said.returncode != 0
    assert told in said.stdout + said.stderr


def test_everything_that_has_a_name_is_described() -> None:
    for one in templates(template()):
        places = [one, *one.get("definitions", {}).values()]
        named = [
            (name, value)
            for place in places
            for kind in ("parameters", "outputs", "properties")
            for name, value in place.get(kind, {}).items()
        ]
        without = [name for name, value in named if "description" not in value.get("metadata", {})]
        assert without == []


def test_only_what_nobody_can_guess_is_required() -> None:
    parameters = template()["parameters"]
    assert {name for name, one in parameters.items() if "defaultValue" not in one} == REQUIRED


def test_no_secret_is_a_parameter_or_an_output() -> None:
    for one in templates(template()):
        for value in (*one.get("parameters", {}).values(), *one.get("outputs", {}).values()):
            assert "secure" not in value.get("type", "").lower()
