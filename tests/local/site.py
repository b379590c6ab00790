"""A local Azure ML with storage, for the tests of `local/` and of the commands."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import Any

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local import azureml
from local.azureml import AzureMl, BatchJob
from local.azureml.workspace import Deployment, Endpoint, Settings
from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    ML_AUDIENCE,
    WORKSPACE_ID,
)
from local.run_folder import RunFolder
from local.storage import Storage
from local.tokens import issue
from tests.local.endpoints import endpoints

SECONDS = 20.0  # to wait for; half a second is usual
ECHO = """
from pathlib import Path
def init(): pass
def run(mini_batch): return [f"{Path(f).name}={Path(f).read_text()}" for f in mini_batch]
"""


class Site:
    """A running Azure ML over the session's storage; `here` is a folder for one test."""

    def __init__(
        self, ml: AzureMl, landing: ContainerClient, client: httpx.AsyncClient, scripts: Path
    ) -> None:
        self.ml = ml
        self.landing = landing
        self.client = client
        self.here = f"tests/{uuid.uuid4().hex}"
        self._scripts = scripts

    def uri(self, path: str) -> str:
        return f"azureml://datastores/{DATASTORE}/paths/{self.here}/{path}"

    def deploy(self, script: str = ECHO, **settings: Any) -> str:
        """Add an endpoint whose only deployment runs a script; return its name."""
        name = f"e-{len(self.ml.workspace.endpoints)}"
        code = self._scripts / name
        code.mkdir()
        (code / "score.py").write_text(script)
        strict = {"error_threshold": 0, "max_retries": 0, **settings}
        deployment = Deployment(
            name="blue", code=code, script="score.py", settings=Settings(**strict)
        )
        self.ml.workspace.endpoints[name] = Endpoint(
            name=name, default_deployment="blue", deployments={"blue": deployment}
        )
        return name

    async def put(self, **files: str) -> None:
        for name, text in files.items():
            await self.landing.upload_blob(f"{self.here}/{name}", text)

    async def get(self, path: str) -> str | None:
        """Return the content of a blob; None if it does not exist."""
        try:
            blob = await self.landing.download_blob(f"{self.here}/{path}")
        except ResourceNotFoundError:
            return None
        return bytes(await blob.readall()).decode()

    async def ml_request(
        self, method: str, url: str, audience: str = ML_AUDIENCE, **request: Any
    ) -> httpx.Response:
        headers = {**bearer(audience), **request.pop("headers", {})}
        return await self.client.request(method, url, headers=headers, **request)

    async def arm(self, method: str, path: str, **request: Any) -> httpx.Response:
        version = f"{'&' if '?' in path else '?'}api-version=2022-05-01"
        url = f"{self.ml.url}{WORKSPACE_ID}/{path}{version}"
        return await self.ml_request(method, url, ARM_AUDIENCE, **request)

    async def post(
        self, endpoint: str, body: Any, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        url = self.ml.scoring_uri(endpoint)
        content = body if isinstance(body, str) else json.dumps(body)
        return await self.ml_request("POST", url, content=content, headers=headers or {})

    async def invoke(
        self,
        endpoint: str,
        path: str = "in",
        *,
        kind: str = "UriFolder",
        uri: str | None = None,
        **more: Any,
    ) -> str:
        """Submit a job that writes to `out.csv`; return its name."""
        output = {"OutputData": {"o": file_output(self.uri("out.csv"))}}
        data = {"InputData": {"i": {"JobInputType": kind, "Uri": uri or self.uri(path)}}}
        answer = await self.post(endpoint, {"properties": {**output, **data, **more}})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["name"])

    async def until(self, name: str, *statuses: str) -> BatchJob:
        job = self.ml.jobs[name]
        await self.ml.until(lambda _: job.status in statuses, seconds=SECONDS)
        return job

    async def end(self, name: str) -> BatchJob:
        return await self.until(name, "Completed", "Failed", "Canceled")

    async def run(self, endpoint: str, path: str = "in", **options: Any) -> BatchJob:
        return await self.end(await self.invoke(endpoint, path, **options))

    async def shown(self, endpoint: str, name: str) -> dict[str, Any]:
        answer = await self.ml_request("GET", f"{self.ml.scoring_uri(endpoint)}/{name}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["properties"])


def bearer(audience: str, **options: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {issue(audience, client='test', **options)}"}


def file_output(uri: str) -> dict[str, str]:
    return {"JobOutputType": "UriFile", "Uri": uri}


async def pids_in(file: Path) -> list[int]:
    """Wait until a script of `pids_script` has written its file; return the process ids."""
    async with asyncio.timeout(SECONDS):
        while not file.exists():  # noqa: ASYNC110, ASYNC240 - there is no event for a new file
            await asyncio.sleep(0.01)
    return list(map(int, file.read_text().split()))  # noqa: ASYNC240


def running(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_ended(pids: Collection[int]) -> None:
    """Wait until processes that are not our children have ended: also a SIGKILL takes a moment."""
    async with asyncio.timeout(SECONDS):
        while any(map(running, pids)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def pids_script(file: Path) -> str:
    """Return a script that writes its process id and a child's to a file, and sleeps."""
    return f"""
import os, pathlib, subprocess, time
def init():
    child = subprocess.Popen(["sleep", "600"])
    new = pathlib.Path({str(file)!r} + ".new")
    new.write_text(f"{{os.getpid()}} {{child.pid}}")
    new.rename({str(file)!r})
    time.sleep(600)
def run(mini_batch): ...
"""


@contextlib.asynccontextmanager
async def opened(folder: RunFolder, storage: Storage, scripts: Path) -> AsyncIterator[Site]:
    secret = storage.connection_string(LANDING_ACCOUNT)
    async with (
        azureml.start(folder, endpoints(), step_seconds=0, operation_seconds=0.02) as ml,
        BlobServiceClient.from_connection_string(secret) as service,
        httpx.AsyncClient(verify=folder.client_tls()) as client,
    ):
        yield Site(ml, service.get_container_client(CONTAINER), client, scripts)
