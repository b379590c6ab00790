"""The code of each release is at hand, and the changelog has a section for it."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from scoring.version import VERSION
from tests.pages import ROOT
from tests.releases import NoReleaseError, releases, worktree_of
from tests.worker.apps import imported

CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")


@pytest.mark.parametrize("version", releases())
def test_the_code_of_a_release_is_checked_out_and_runs(version: str) -> None:
    with worktree_of(version) as tree:
        assert runpy.run_path(str(tree / "scoring" / "version.py"))["VERSION"] == version
        functions = imported(sys.executable, tree, {})["functions"]
    assert {"on_landing", "poll", "sweep"} <= set(functions)
    assert not tree.exists()


def test_the_changelog_has_a_dated_section_for_each_version_that_is_released() -> None:
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "Unreleased"
    dated = [re.fullmatch(r"(\S+) \(\d{4}-\d\d-\d\d\)", heading) for heading in headings[1:]]
    versions = {found[1] for found in dated if found}
    assert len(versions) == len(headings) - 1
    assert versions >= set(releases())
    assert VERSION in versions or VERSION.endswith(".dev0")


# --- what cannot be checked out -----------------------------------------------------------------


def git(project: Path, *arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", *author, "-C", str(project), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two commits whose first one is release 1."""
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    git(project, "init", "--quiet")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "1")
    commit = git(project, "rev-parse", "HEAD")
    listed = f'[releases]\n"1" = "{commit}"\n"2" = "{"0" * 40}"\n'
    (project / "tests" / "releases.toml").write_text(listed)
    git(project, "add", "tests")
    git(project, "commit", "--quiet", "--message", "2")
    return project


def test_the_worktree_is_of_the_releases_commit_and_is_forgotten_at_the_end(project: Path) -> None:
    with worktree_of("1", project) as tree:
        assert not (tree / "tests").exists()
        (tree / "new").touch()
    assert len(git(project, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("3", r"^tests/releases\.toml has no release 3: add its commit there$"),
        ("2", "names a commit that this repository does not have$"),
    ],
)
def test_a_release_that_is_not_known_is_named(project: Path, version: str, says: str) -> None:
    with pytest.raises(NoReleaseError, match=says), worktree_of(version, project):
        pass


def test_in_a_shallow_clone_the_error_says_how_to_get_the_rest(
    project: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{project}", str(clone))
    says = "release 1 is not here: .*: this clone is shallow: `git fetch --unshallow`"
    with pytest.raises(NoReleaseError, match=says), worktree_of("1", clone):
        pass


def test_without_git_and_without_a_repository_the_error_says_so(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".git").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(NoReleaseError, match="not a git repository"), worktree_of("1", project):
        pass
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(NoReleaseError, match="git is not on the PATH"), worktree_of("1", project):
        pass
