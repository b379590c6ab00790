"""`make package`: the app, the whole app and nothing but the app."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.package import FILES, NotTheAppError, build, contents
from tests.infra.funcignore import taken_by_azd, taken_by_func
from tests.pages import ROOT
from tests.worker.apps import BINDINGS, imported
from tests.worker.environment import python_with

MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "scoring").rglob("*.py")}
COMMANDS = {name for name in MODULES if name.startswith(("scoring/__main__.py", "scoring/cli/"))}
APP = {*FILES, *MODULES} - COMMANDS
LINES = (ROOT / ".funcignore").read_text("utf-8").splitlines()

# What lies beside the app in a folder where somebody works.
BESIDE = [
    ".env",
    ".funcignore",
    ".git/HEAD",
    ".gitignore",
    ".venv/lib/python3.11/site-packages/scoring/job.py",
    "README.md",
    "dist/landfall.zip",
    "infra/main.bicep",
    "infra/package.py",
    "local.settings.json",
    "local/host/app.py",
    "notes.txt",
    "scoring-old/job.py",
    "scoring/__main__.py",
    "scoring/__pycache__/job.cpython-311.pyc",
    "scoring/azure/ledger/__pycache__/jobs.cpython-311.pyc",
    "scoring/jobs/__pycache__/job.cpython-311.pyc",
    "scoring/cli/__init__.py",
    "scoring/cli/landfall/ledger/rows.py",
    "scoring/cli/requirements.txt",
    "tests/function_app.py",
    "tests/scoring/job.py",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder, with all that is not deployed as well."""
    root = tmp_path / "project"
    for name in (*APP, *BESIDE):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes((ROOT / name).read_bytes() if name in APP else b"not deployed")
    return root


def packed(root: Path) -> Path:
    target = root.parent / "landfall.zip"
    build(root, target)
    return target


def test_the_package_is_the_app_and_nothing_of_what_lies_beside_it(project: Path) -> None:
    with zipfile.ZipFile(packed(project)) as made:
        assert set(made.namelist()) == APP
        assert len(made.namelist()) == len(APP)
        assert all(made.read(name) == (ROOT / name).read_bytes() for name in APP)
        assert made.testzip() is None


def test_the_package_of_this_project_is_the_same(project: Path) -> None:
    """So nothing lies in scoring/ that nobody has decided about."""
    build(ROOT, project.parent / "this.zip")
    assert (project.parent / "this.zip").read_bytes() == packed(project).read_bytes()


def test_the_same_files_give_the_same_bytes_whenever_and_with_whatever_rights(
    project: Path,
) -> None:
    first = packed(project).read_bytes()
    for place, path in enumerate(contents(project)):
        os.utime(path, (place, place))
        path.chmod(0o600)
    assert packed(project).read_bytes() == first


@pytest.mark.parametrize(
    "stray",
    [
        ".env",
        "Job.py",
        "job.py.orig",
        "job.pyc",
        "jobs/.env",
        "azure/ledger/more/__init__.py",
        "job2.json",
        "more/__init__.py",
        "x-y.py",
    ],
)
def test_what_is_no_module_of_the_app_stops_it(project: Path, stray: str) -> None:
    path = project / "scoring" / stray
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(NotTheAppError, match=stray.removesuffix("/__init__.py")):
        packed(project)
    assert not (project.parent / "landfall.zip").exists()


def test_a_link_stops_it(project: Path) -> None:
    (project / "scoring" / "link.py").symlink_to(project / "notes.txt")
    with pytest.raises(NotTheAppError, match=r"link\.py"):
        packed(project)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_stops_it(project: Path, name: str) -> None:
    (project / name).unlink()
    with pytest.raises(NotTheAppError, match=f"not there: {name}"):
        packed(project)


def test_the_command_lists_it_and_says_why_not(project: Path) -> None:
    shutil.copytree(ROOT / "infra", project / "infra", dirs_exist_ok=True)
    command = [sys.executable, "-m", "infra.package", "dist/landfall.zip"]
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    listed = [line.split()[1] for line in ran.stdout.splitlines()[:-1]]
    assert listed == sorted(APP)
    (project / "scoring" / "notes.md").touch()
    ran = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert (ran.returncode, "notes.md is no module" in ran.stderr) == (1, True)


# --- the zips of others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "more"), [(taken_by_azd, set()), (taken_by_func, {"scoring/__main__.py"})]
)
@pytest.mark.parametrize("where", ["made up", "this one"])
def test_azd_and_func_deploy_what_the_package_has(
    project: Path, taken: Callable[[list[str], list[str]], set[str]], more: set[str], where: str
) -> None:
    """Of this project what git knows is looked at; the made-up one has all that git does not."""
    paths = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()]
    if where == "this one":
        known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
        paths = known.stdout.decode().split()
    assert taken(LINES, paths) == APP | more


# --- what was deployed --------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_the_app_is_indexed_from_the_package_with_only_its_requirements(
    tmp_path: Path, version: str
) -> None:
    build(ROOT, tmp_path / "landfall.zip")
    with zipfile.ZipFile(tmp_path / "landfall.zip") as made:
        made.extractall(tmp_path / "app")
    python = python_with(tmp_path / "app" / "requirements.txt", version, f".venv-app-{version}")
    if python is None:
        reason = f"this machine has no Python {version} with `venv`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    said = imported(python, tmp_path / "app", {})
    assert (said["python"], said["functions"], said["commands"]) == (version, BINDINGS, [])
