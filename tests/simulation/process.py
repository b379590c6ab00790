"""The simulation in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def output_of(folder: Path, **settings: str) -> str:
    """Return what the simulation prints over the code in a folder, whether it finds anything or not."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.simulation"],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout
