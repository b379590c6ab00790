"""azure.yaml: what azd deploys, and what it must not delete."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from scoring.version import VERSION
from tests.infra.deployment import the
from tests.pages import ROOT, page, section

AZD: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
PREDOWN = AZD["hooks"]["predown"]


def test_azd_finds_the_templates_and_the_app() -> None:
    assert (ROOT / AZD["infra"]["path"] / f"{AZD['infra']['module']}.bicep").is_file()
    (service,) = AZD["services"]
    assert the("smallest", "Microsoft.Web/sites")["tags"]["azd-service-name"] == service


def test_azd_down_is_stopped_and_says_what_to_do_instead() -> None:
    """Of PowerShell's text only the words are held; this machine need not have it."""
    command = [PREDOWN["posix"]["shell"], "-c", PREDOWN["posix"]["run"]]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "docs/deploy.md, Removal" in ran.stderr
    assert section(page("deploy"), "Removal")
    assert not PREDOWN["posix"].get("continueOnError")
    said, last = PREDOWN["windows"]["run"].splitlines()
    assert ran.stderr.strip() in said
    assert last == "exit 1"
    assert not PREDOWN["windows"].get("continueOnError")


def test_what_azd_restores_has_the_apps_version(tmp_path: Path) -> None:
    """It runs `pip install .`; pip builds in the folder, so it is given a copy."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "scoring", tmp_path / "scoring")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    only_tell = ["--dry-run", "--ignore-installed", "--no-deps", "--report", "-"]
    ran = subprocess.run([*install, *only_tell, tmp_path], capture_output=True, check=True)
    (metadata,) = [one["metadata"] for one in json.loads(ran.stdout)["install"]]
    assert (metadata["name"], metadata["version"]) == ("landfall", VERSION)
