"""The security scanner, in an environment of its own, which is made when it is first wanted."""

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.cli.bicep import ROOT

_FOLDER = ROOT / ".venv-scan"
_PINS = Path(__file__).with_name("requirements.txt")
_INSTALLED = _FOLDER / "installed.txt"  # the pins that are in it; written last


def scanner() -> str:
    """Return the program."""
    with (ROOT / ".venv-scan.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes at once
        pins = _PINS.read_text("utf-8")
        if not _INSTALLED.exists() or _INSTALLED.read_text("utf-8") != pins:
            python = str(_FOLDER / "bin" / "python")
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(_FOLDER)], check=True)
            pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "install", "-r", str(_PINS)], check=True)
            _INSTALLED.write_text(pins, "utf-8")
    return str(_FOLDER / "bin" / "checkov")
