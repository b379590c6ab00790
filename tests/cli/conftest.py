"""A local Azure for the commands, and the commands as processes of their own."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.storage.blob.aio import ContainerClient

from local import azure as local_azure
from local.app_settings import app_settings
from local.azure import APP, Azure
from local.names import CONTAINER, LANDING_ACCOUNT
from local.run_folder import RunFolder
from scoring.cli import backoff
from scoring.cli.azureml.deploy.contents import CHUNK
from scoring.cli.backoff import Backoff
from scoring.cli.console import Console
from scoring.cli.session import Session, open_session
from tests.end_to_end.site import with_certificates_of
from tests.local.site import Site


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What `--output json` printed."""
        return json.loads(self.out)


class Commands:
    """Runs `python -m scoring …` against a local Azure, as a user's shell does."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, **app_settings(self.azure.folder), **more}

    async def start(self, *arguments: object, **more: str) -> asyncio.subprocess.Process:
        """Start a command; `more` are further environment variables."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "scoring",
            *map(str, arguments),
            cwd=APP,
            env=self.environment(**more),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(self, *arguments: object, **more: str) -> Ended:
        """Run a command to its end."""
        process = await self.start(*arguments, **more)
        out, err = await asyncio.wait_for(process.communicate(), timeout=120)
        assert process.returncode is not None
        return Ended(code=process.returncode, out=out.decode(), err=err.decode())


@pytest.fixture(scope="session")
async def azure(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Azure]:
    """A local Azure beside the session's storage, with its own run folder."""
    own = with_certificates_of(folder, tmp_path_factory.mktemp("cli") / "azure")
    async with local_azure.start(own, step_seconds=0.05, operation_seconds=0.05) as running:
        yield running


@pytest.fixture
async def command(azure: Azure) -> Commands:
    """The commands, against that Azure."""
    return Commands(azure)


@pytest.fixture
async def session(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """What a command is given, for functions that are called without a process."""
    settings = app_settings(azure.folder)
    for name, value in settings.items():  # the credential reads them there
        monkeypatch.setenv(name, value)
    async with open_session(Console(), settings) as session:
        yield session


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are tried again, and operations looked at, after a few milliseconds."""
    monkeypatch.setattr(backoff, "RETRIES", Backoff(first=0.01, longest=1))
    monkeypatch.setattr(backoff, "OPERATIONS", Backoff(first=0.01, longest=1))


def once(session: Session) -> Session:
    """Return the session with a new console: each prints one result."""
    console = Console()
    console.as_json = session.console.as_json
    return dataclasses.replace(session, console=console)


@pytest.fixture
async def site(azure: Azure, tmp_path: Path) -> AsyncIterator[Site]:
    """What makes endpoints and files there; `here` is a folder for one test."""
    secret = azure.storage.connection_string(LANDING_ACCOUNT)
    async with (
        ContainerClient.from_connection_string(
            secret, CONTAINER, max_single_put_size=CHUNK, max_block_size=CHUNK
        ) as container,
        httpx.AsyncClient(verify=azure.folder.client_tls()) as client,
    ):
        yield Site(azure.azureml, container, client, tmp_path)
    azure.azureml.faults.forget()
    azure.azureml.resume()
