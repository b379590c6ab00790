"""The code of a release, for tests of two versions at once.

tests/releases.toml names the commit of each.
"""

import contextlib
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.pages import ROOT


class NoReleaseError(Exception):
    """The code of a release cannot be checked out."""


def releases(project: Path = ROOT) -> dict[str, str]:
    """Return the commit of each release."""
    text = (project / "tests" / "releases.toml").read_text("utf-8")
    found: dict[str, str] = tomllib.loads(text)["releases"]
    return found


@contextlib.contextmanager
def worktree_of(version: str, project: Path = ROOT) -> Iterator[Path]:
    """Check out a release in a folder of its own, which is removed at the end.

    Raises:
        NoReleaseError: it is not listed, or git, or its commit, is not there.
    """
    commit = releases(project).get(version)
    if commit is None:
        raise NoReleaseError(f"tests/releases.toml has no release {version}: add its commit there")
    _check_commit(project, version, commit)
    with tempfile.TemporaryDirectory(prefix="landfall-") as folder:
        tree = Path(folder) / version
        _git(project, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(project, "worktree", "remove", "--force", str(tree))


def _check_commit(project: Path, version: str, commit: str) -> None:
    if _git(project, "rev-parse", "--is-shallow-repository") == "true":
        remedy = "this clone is shallow: `git fetch --unshallow` brings its history"
    else:
        remedy = "tests/releases.toml names a commit that this repository does not have"
    try:
        _git(project, "cat-file", "-e", f"{commit}^{{commit}}")
    except NoReleaseError:
        raise NoReleaseError(f"release {version} is not here: {commit}: {remedy}") from None


def _git(project: Path, *arguments: str) -> str:
    """Run git in a project; return what it prints."""
    command = ["git", "-C", str(project), *arguments]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoReleaseError("git is not on the PATH: it has the code of releases") from None
    if ran.returncode:
        raise NoReleaseError(f"git {arguments[0]}: {ran.stderr.strip()}")
    return ran.stdout.strip()
