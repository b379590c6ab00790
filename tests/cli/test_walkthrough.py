"""docs/walkthrough.md: each of its commands does what the page shows."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from local import azure as local_azure
from local.app_settings import app_settings
from local.azure import APP
from local.deploy import deploy
from local.run_folder import RunFolder
from tests.end_to_end.site import with_certificates_of

PAGE = (APP / "docs" / "walkthrough.md").read_text("utf-8")
_DIFFERS = (
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "a-guid"),
    (r"\d{8}T\d{6}Z-[0-9a-f]{8}", "a-time-and-nonce"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "a-time"),
    (r"localhost:\d+", "localhost"),
    (r" *$", ""),
)
"""What is another thing each time."""


@pytest.fixture
async def settings(folder: RunFolder, tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """The settings of a local Azure as `make up` starts it."""
    own = with_certificates_of(folder, tmp_path / "azure")
    async with local_azure.start(own, step_seconds=0.05):
        await deploy(own)
        yield app_settings(own)


def shown() -> Iterator[tuple[str, str]]:
    """Yield each command of the page and what it prints."""
    for block in re.findall(r"^```\n(\$ .*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


def plain(output: str) -> list[str]:
    for what, instead in _DIFFERS:
        output = re.sub(what, instead, output, flags=re.MULTILINE)
    return [re.sub(r"  +", "  ", line) for line in output.strip().splitlines()]


async def test_each_command_prints_what_the_page_shows(
    settings: dict[str, str], tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("local", "scoring", "docs"):
        (here / name).symlink_to(APP / name)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **settings, "PATH": path}
    steps = list(shown())
    assert len(steps) > 10
    for command, output in steps:
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=here,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, errors = (one.decode() for one in await process.communicate())
        assert process.returncode == 0, f"{command}\n{errors}"
        assert plain(printed) == plain(output), command
        if found := re.search(r"^batch job +(\S+)$", printed, re.MULTILINE):
            environment["BATCH_JOB"] = found[1]
