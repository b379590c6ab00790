"""Deploys YAML files of the Azure ML CLI v2 with `python -m scoring deploy`, as a user would."""

import asyncio
import os
import sys
from pathlib import Path

from local.app_settings import app_settings
from local.run_folder import RunFolder

DEPLOYMENTS = Path(__file__).parent / "deployments"
_COMPUTE = DEPLOYMENTS / "compute.yml"
_MARK = "$schema:"  # marks a YAML file as one for Azure ML


async def deploy(folder: RunFolder, deployments: Path = DEPLOYMENTS) -> str:
    """Deploy the YAML files of a folder and its subfolders; return the output of the command.

    `compute.yml` of `local/deployments` is always among them, for deployments that name it.

    Raises:
        RuntimeError: the command failed.
    """
    files = {_COMPUTE, *_files(deployments)}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scoring", "deploy", *map(str, sorted(files))),
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **app_settings(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await command.communicate()
    if command.returncode:
        raise RuntimeError(err.decode().strip())
    return out.decode().strip()


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*.yml") if _MARK in file.read_text("utf-8")]
