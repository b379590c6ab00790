"""What surrounds the code: a mistake there would be noticed by nobody, or too late."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import ROOT, page, section

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COMMIT = re.compile(r"[0-9a-f]{40}")


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


# --- .github ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_action_is_pinned_by_a_commit_and_says_its_version(file: Path) -> None:
    """A tag can be moved to other code; Dependabot reads and renews the comment."""
    used = re.findall(r"^[ -]*uses: *(.*)$", file.read_text("utf-8"), re.MULTILINE)
    assert used
    for action in used:
        assert re.fullmatch(rf"[\w.-]+/[\w./-]+@{COMMIT.pattern} # v\d+\.\d+\.\d+", action)


def test_hosted_ci_runs_what_a_change_must_pass_on_each_python_that_is_deployed() -> None:
    workflow = read_yaml(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    (deployed,) = re.findall(
        r"^@allowed\((\[.*\])\)\nparam pythonVersion",
        (ROOT / "infra" / "main.bicep").read_text("utf-8"),
        re.MULTILINE,
    )
    assert job["strategy"]["matrix"]["python"] == json.loads(deployed.replace("'", '"'))


def test_hosted_ci_may_only_read_and_has_the_whole_history() -> None:
    """The tests of two versions check out the commit of a release."""
    workflow = read_yaml(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert job["steps"][0]["with"] == {"fetch-depth": 0, "persist-credentials": False}


@pytest.mark.parametrize(
    ("ecosystem", "pins"), [("pip", "requirements.txt"), ("npm", "package-lock.json")]
)
def test_dependabot_looks_at_each_folder_with_pins(ecosystem: str, pins: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", pins, f"**/{pins}"], cwd=ROOT, capture_output=True, check=True
    )
    folders = {f"/{Path(file).parent}".rstrip(".") for file in listed.stdout.decode().split()}
    (update,) = (
        one
        for one in read_yaml(".github/dependabot.yml")["updates"]
        if one["package-ecosystem"] == ecosystem
    )
    assert set(update["directories"]) == folders


@pytest.mark.parametrize("form", ["bug", "feature"])
def test_an_issue_form_has_what_github_requires(form: str) -> None:
    """One that is wrong is not offered, and nobody is told."""
    fields = read_yaml(f".github/ISSUE_TEMPLATE/{form}.yml")
    assert {"name", "description", "body"} <= set(fields)
    asked = [one for one in fields["body"] if one["type"] != "markdown"]
    assert asked
    assert len({one["id"] for one in asked}) == len(asked)
    assert all(one["attributes"]["label"] for one in asked)


# --- tools --------------------------------------------------------------------------------------


def test_hooks_before_a_commit_are_those_of_the_lock_or_pinned() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    for repository in yaml.safe_load(text)["repos"]:
        if repository["repo"] == "local":
            for hook in repository["hooks"]:
                assert (ROOT / hook["entry"].split()[0]).exists()
        else:
            assert COMMIT.fullmatch(repository["rev"])
            assert f"{repository['rev']} # frozen: v" in text


def test_the_dev_container_is_built_of_the_file_that_lies_beside_it() -> None:
    container = ROOT / ".devcontainer"
    said = json.loads((container / "devcontainer.json").read_text("utf-8"))
    assert (container / said["build"]["dockerfile"]).is_file()


def test_the_licence_that_is_named_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license-files"] == ["LICENSE"]
    assert (ROOT / "LICENSE").read_text("utf-8").startswith(f"{project['license']} License\n")


# --- the pages for those who change it ----------------------------------------------------------

_PATH = re.compile(r"`((?:scoring|tests|docs|infra|local|\.\w+)/[\w./-]*)`")


@pytest.mark.parametrize("name", ["CONTRIBUTING", "RELEASING", "SECURITY"])
def test_each_path_that_a_page_for_contributors_names_is_there(name: str) -> None:
    named = set(_PATH.findall((ROOT / f"{name}.md").read_text("utf-8")))
    assert named
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_sections_of_documents_that_contributing_names_are_there() -> None:
    """In the table: `docs/page.md`: Section, Section."""
    text = section((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "Where a change goes")
    named = re.findall(r"`docs/(\w+)\.md`: ([^;|]+?) *[;|]", text)
    assert named
    for document, titles in named:
        headings = re.findall(r"^##+ (.+)$", page(document), re.MULTILINE)
        for title in titles.split(", "):
            assert title in headings, f"{document}: {title}"
