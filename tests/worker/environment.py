"""The environment of Microsoft's worker library: Python 3.13 and pins of its own.

It lies in the project's folder and is made anew when the pins have changed.
"""

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.worker.apps import ROOT

_FOLDER = ROOT / ".venv-worker"
_PINS = Path(__file__).with_name("requirements.txt")
_INSTALLED = _FOLDER / "installed.txt"  # the pins that are in it; written last

_VERSION = "3.13"
_SAY_VERSION = "import ensurepip, sys; print('{}.{}'.format(*sys.version_info))"


def python_of_the_worker() -> Path | None:
    """Return the interpreter of the environment, which is made first if need be.

    None if this machine has no Python 3.13.
    """
    with (ROOT / ".venv-worker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes at once
        return _made()


def _made() -> Path | None:
    python = _FOLDER / "bin" / "python"
    pins = _PINS.read_text()
    if python.exists() and _INSTALLED.exists() and _INSTALLED.read_text() == pins:
        return python
    base = _base()
    if base is None:
        return None
    subprocess.run([base, "-m", "venv", "--clear", str(_FOLDER)], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-r", str(_PINS)], check=True)
    _INSTALLED.write_text(pins)
    return python


def _base() -> str | None:
    """Return this Python, the one on the PATH, or one beside this one, as pyenv keeps them."""
    beside = Path(sys.base_prefix).parent.glob(f"*{_VERSION}*/bin/python{_VERSION}")
    candidates = [sys.executable, f"python{_VERSION}", *map(str, sorted(beside))]
    return next(filter(_fits, candidates), None)


def _fits(python: str) -> bool:
    try:
        said = subprocess.run([python, "-c", _SAY_VERSION], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False  # not there, a shim with nothing behind it, or without what `venv` needs
    return said.stdout.decode().strip() == _VERSION
