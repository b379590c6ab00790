"""Environments with pins of their own, in the project's folder; made anew when the pins have changed.

Microsoft's worker library needs one, on Python 3.13; so does the app as it is deployed.
"""

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.pages import ROOT

_SAY_VERSION = "import ensurepip, sys; print('{}.{}'.format(*sys.version_info))"


def python_of_the_worker() -> Path | None:
    """Return the interpreter of the worker library's environment; None as `python_with`."""
    return python_with(Path(__file__).with_name("requirements.txt"), "3.13", ".venv-worker")


def python_with(pins: Path, version: str, name: str) -> Path | None:
    """Return an interpreter with these pins and nothing else, which is made first if need be.

    None if this machine has no Python of the version.
    """
    with (ROOT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes at once
        return _made(ROOT / name, pins, version)


def _made(folder: Path, pins: Path, version: str) -> Path | None:
    python = folder / "bin" / "python"
    installed = folder / "installed.txt"  # the pins that are in it; written last
    if python.exists() and installed.exists() and installed.read_text() == pins.read_text():
        return python
    base = _base(version)
    if base is None:
        return None
    subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-r", str(pins)], check=True)
    installed.write_text(pins.read_text())
    return python


def _base(version: str) -> str | None:
    """Return this Python, the one on the PATH, or one beside this one, as pyenv keeps them."""
    beside = Path(sys.base_prefix).parent.glob(f"*{version}*/bin/python{version}")
    candidates = [sys.executable, f"python{version}", *map(str, sorted(beside))]
    return next((python for python in candidates if _fits(python, version)), None)


def _fits(python: str, version: str) -> bool:
    try:
        said = subprocess.run([python, "-c", _SAY_VERSION], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False  # not there, a shim with nothing behind it, or without what `venv` needs
    return said.stdout.decode().strip() == version
