"""The app as it is deployed: a copy of it, its index, and an import of it in a bare process."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.pages import ROOT

BINDINGS = {
    "on_landing": [
        {
            "direction": "IN",
            "type": "queueTrigger",
            "name": "message",
            "queueName": "landings",
            "connection": "AzureWebJobsStorage",
        }
    ],
    "on_poison": [
        {
            "direction": "IN",
            "type": "queueTrigger",
            "name": "message",
            "queueName": "landings-poison",
            "connection": "AzureWebJobsStorage",
        }
    ],
    "poll": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "*/15 * * * * *",
            "runOnStartup": False,
        }
    ],
    "sweep": [
        {
            "direction": "IN",
            "type": "timerTrigger",
            "name": "timer",
            "schedule": "0 */10 * * * *",
            "runOnStartup": False,
        }
    ],
}
"""What the index must be, by function: what the host reads off it to make its listeners."""

BAD_ROUTES = {"missing": None, "broken": "[[routes]\nname = "}
"""A routes.toml that no app can work with, and its absence."""


def copied(app: Path, routes: str | None) -> Path:
    """Copy the app into a folder, with another routes.toml or none."""
    shutil.copytree(ROOT / "scoring", app / "scoring")
    for name in ("function_app.py", "host.json"):
        shutil.copy(ROOT / name, app)
    if routes is not None:
        (app / "routes.toml").write_text(routes)
    return app


def imported(python: Path | str, app: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """Import the app in a process whose environment is these settings and nothing else."""
    command = [str(python), str(Path(__file__).with_name("imported.py")), str(app)]
    run = subprocess.run(
        command, env=dict(settings), cwd="/", capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    said: dict[str, Any] = json.loads(run.stdout)
    return said
