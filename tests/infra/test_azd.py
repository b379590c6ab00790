"""azure.yaml: what azd deploys, and what it must not delete."""

import subprocess
from typing import Any

import yaml

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
