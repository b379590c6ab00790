"""What somebody types first, on a machine that has Python and make."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.pages import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
NEEDS_NODE = {"name": "x", "version": "1.0.0", "scripts": {"postinstall": "node --version"}}
NEEDS_NOTHING = {"name": "x", "version": "1.0.0"}
PIN = re.compile(r"[a-z0-9-]+==[\w.]+( ; [^-\\]+)?( +--hash=sha256:[0-9a-f]{64})+")


def make(folder: Path, *targets: str, **environment: str) -> str:
    run = subprocess.run(
        [str(shutil.which("make")), "--directory", str(folder), *targets],
        env=environment or None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_make_alone_lists_each_target_and_what_it_does() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert re.findall(r"^make ([a-z]+) +\S", make(ROOT), re.MULTILINE) == targets.split()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, the npm of this environment and no packages."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("local", "tests/infra"):
        package(tmp_path / folder, NEEDS_NOTHING)
    for folder in ("local", "tests"):
        (tmp_path / folder / "requirements.txt").touch()
    environment = tmp_path / ".venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "npm").symlink_to(Path(sys.executable).with_name("npm"))
    (environment / "python").write_text("#!/bin/sh\n")  # does nothing: pip is not what is tried
    (environment / "python").chmod(0o755)
    return tmp_path


def package(folder: Path, about: Mapping[str, object]) -> None:
    """Write a package without dependencies, and its lock."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = {**about, "lockfileVersion": 3, "packages": {"": {**about, "hasInstallScript": True}}}
    (folder / "package.json").write_text(json.dumps(about))
    (folder / "package-lock.json").write_text(json.dumps(lock))


@pytest.mark.parametrize("folder", ["local", "tests/infra"])
def test_npm_installs_packages_whose_scripts_call_node_where_the_path_has_none(
    project: Path, folder: str
) -> None:
    package(project / folder, NEEDS_NODE)
    tools = project / "bin"
    tools.mkdir()
    for tool in ("sh", "touch"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    make(project, ".venv/test", PATH=str(tools), HOME=str(project))
    assert (project / ".venv" / "test").exists()


def test_each_requirement_is_pinned_by_version_and_hash_and_none_names_an_index() -> None:
    """One without a hash would make pip refuse all; where packages come from is the machine's."""
    locked = re.findall(r"^\t\$\(PIN\) .* -o (\S+)$", MAKEFILE, re.MULTILINE)
    assert "requirements.txt" in locked
    for file in locked:
        text = (ROOT / file).read_text("utf-8").replace("\\\n", "")
        for line in text.splitlines():
            assert line.startswith("#") or PIN.fullmatch(line), f"{file}: {line[:80]}"
