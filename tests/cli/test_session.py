"""Where commands find the workspace: options, environment, files."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from scoring.cli.console import Console
from scoring.cli.failures import Exit, UsageError, as_failure
from scoring.cli.session import Options, environment, open_session, read_settings_file
from scoring.errors import Unavailable

NAMES = {
    "subscription": "AZUREML_ARM_SUBSCRIPTION",
    "resource_group": "AZUREML_ARM_RESOURCEGROUP",
    "workspace": "AZUREML_ARM_WORKSPACE_NAME",
}
CONFIG = {"subscription_id": "s-file", "resource_group": "g-file", "workspace_name": "w-file"}


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.chdir(tmp_path)


def found(**options: Any) -> tuple[str | None, ...]:
    values = environment(Options(**options))
    return tuple(values.get(name) for name in NAMES.values())


def write(file: Path, document: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize("name", ["config.json", ".azureml/config.json"])
def test_the_workspaces_file_is_found_here_or_above(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / name, CONFIG)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert found() == ("s-file", "g-file", "w-file")
    write(tmp_path / "a" / "config.json", CONFIG | {"workspace_name": "nearer"})
    assert found() == ("s-file", "g-file", "nearer")


def test_the_config_of_another_program_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "config.json", CONFIG)
    write(tmp_path / "a" / "config.json", {"port": 80})
    monkeypatch.chdir(tmp_path / "a")
    assert found() == ("s-file", "g-file", "w-file")


def test_options_take_precedence_over_the_environment_and_that_over_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "config.json", CONFIG)
    settings = write(
        tmp_path / "settings.json", {"Values": {NAMES["resource_group"]: "g-settings"}}
    )
    monkeypatch.setitem(os.environ, NAMES["subscription"], "s-environment")
    assert found(settings=settings) == ("s-environment", "g-settings", "w-file")
    assert found(subscription="s", resource_group="g", workspace="w") == ("s", "g", "w")


def test_settings_are_read_as_the_core_tools_and_as_the_azure_cli_write_them(
    tmp_path: Path,
) -> None:
    wanted = {"LANDFALL_POLL_SECONDS": "30"}
    tools = {"IsEncrypted": False, "Values": {"LANDFALL_POLL_SECONDS": 30}}
    cli = [{"name": "LANDFALL_POLL_SECONDS", "slotSetting": False, "value": "30"}]
    for document in (tools, cli):
        assert read_settings_file(write(tmp_path / "s.json", document)) == wanted


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("{}", "expected .*local.settings.json"),
        ('[{"name": "a"}]', "expected .*local.settings.json"),
        ("7", "expected .*local.settings.json"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_named(
    content: str | None, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=rf"mine\.json: .*{says}"):
        environment(Options(settings=file))


async def test_without_a_workspace_the_error_says_how_to_name_one() -> None:
    with pytest.raises(UsageError, match=r"give --resource-group and --workspace, or set AZUREML"):
        async with open_session(Console(), {NAMES["subscription"]: "s"}):
            pass


def test_without_a_sign_in_the_error_says_how() -> None:
    message = "GET https://x: DefaultAzureCredential failed to retrieve a token from the included"
    failure = as_failure(Unavailable(message))
    assert (failure.exit_code, "`az login`" in str(failure)) == (Exit.REFUSED, True)
