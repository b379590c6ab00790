"""A local Azure with the function app on it, as the end-to-end tests use it."""

import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from azure.storage.blob.aio import ContainerClient
from azure.storage.queue.aio import QueueClient

from local import azure as local_azure
from local import host as host_part
from local.app_settings import app_settings
from local.azure import APP, Azure
from local.azureml import BatchJob, Plan
from local.azureml.jobs import ENDS
from local.azureml.workspace import Deployment, Endpoint, Settings
from local.host import Host
from local.names import (
    APP_ACCOUNT,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    LANDINGS_QUEUE,
    LEDGER_CONTAINER,
)
from local.run_folder import RunFolder
from tests.events.completion_events import check_event

Event = dict[str, Any]

NASTY_NAMES = [
    "two words.txt",
    "100%.txt",
    "already%20escaped.txt",
    "sharp#s.txt",
    "question?mark=1&comp=metadata.txt",
    "plus+plus.txt",
    "quotes'\"`.txt",
    "ünïcödé/漢字.txt",
    "😀.txt",
    ".hidden/..twice.txt",
    "a;b,c=d:e@f!$*()[]|^~{key}<>.txt",
    "/".join(["s" * 200] * 4) + "/" + "t" * 82,
]

SECONDS = 180.0  # to wait for what takes two or three; a thousand files take forty
_CODE = Path(__file__).parent / "code"
_FILES = """\
[[routes]]
name = "{name}"
datastore = "{datastore}"
match = "landing/{name}/**"
input = "file"
endpoint = "{name}"
output = "scored/{name}/{{stem}}-{{key}}/predictions.csv"
max_active = "unlimited"
"""
_FOLDERS = """\
[[routes]]
name = "{name}"
datastore = "{datastore}"
match = "landing/{name}/{{batch}}/*.txt"
input = "folder"
ready = {{ marker = "landing/{name}/{{batch}}.done" }}
endpoint = "{name}"
output = "scored/{name}/{{batch}}-{{key}}/predictions.csv"
max_active = "unlimited"
"""


def file_route(name: str, more: str = "") -> str:
    """Return a route that scores each file below `landing/<name>/` at the endpoint of that name."""
    return _FILES.format(name=name, datastore=DATASTORE) + more + "\n"


def folder_route(name: str) -> str:
    """Return a route that scores a folder once the marker beside it lands."""
    return _FOLDERS.format(name=name, datastore=DATASTORE)


class Site:
    """What a test needs to drop files and to see what comes of them."""

    def __init__(self, azure: Azure, app: Path) -> None:
        self.azure = azure
        self.app = app
        landing, own = map(azure.storage.connection_string, (LANDING_ACCOUNT, APP_ACCOUNT))
        self.landing = ContainerClient.from_connection_string(landing, CONTAINER)
        self.ledger = ContainerClient.from_connection_string(own, LEDGER_CONTAINER)
        self.queue = QueueClient.from_connection_string(own, LANDINGS_QUEUE)

    async def close(self) -> None:
        """Close the clients' connections."""
        for client in (self.landing, self.ledger, self.queue):
            await client.close()

    @contextlib.asynccontextmanager
    async def host(self, name: str = "host", **settings: str) -> AsyncIterator[Host]:
        """Run a host; the settings are further app settings."""
        environment = {**app_settings(self.azure.folder), **settings}
        async with host_part.start(self.azure.folder, self.app, environment, name=name) as running:
            yield running

    async def drop(self, path: str, content: bytes = b"1", **options: Any) -> str:
        """Upload a blob; return its ETag as events have it."""
        blob = self.landing.get_blob_client(path)
        written = await blob.upload_blob(content, overwrite=True, **options)
        return str(written["etag"]).strip('"')

    def events(self, path: str) -> list[Event]:
        """Return the completion events about a file, or about a folder with a slash at its end."""
        subject = f"/blobServices/default/containers/{CONTAINER}/blobs/{path}"
        return [event for event in self.azure.topic.events if event["subject"] == subject]

    async def event(self, path: str, *, count: int = 1) -> Event:
        """Wait for the n-th completion event about a path; return it."""
        await self.azure.topic.until(lambda _: len(self.events(path)) >= count, seconds=SECONDS)
        found = self.events(path)[count - 1]
        check_event(found)
        return found

    def batch_jobs(self, endpoint: str, path: str = "") -> list[BatchJob]:
        """Return the batch jobs of an endpoint whose input lies at or below a path."""
        return [
            job
            for job in self.azure.azureml.jobs.values()
            if job.endpoint == endpoint and f"/paths/{path}" in job.input_uri
        ]

    def most_at_once(self, endpoint: str) -> int:
        """Return how many batch jobs of an endpoint there were at most that had not ended."""
        jobs = self.azure.azureml.jobs
        open_jobs: set[str] = set()
        most = 0
        for name, status in jobs.history:
            if jobs[name].endpoint == endpoint:
                (open_jobs.discard if status in ENDS else open_jobs.add)(name)
                most = max(most, len(open_jobs))
        return most

    @contextlib.asynccontextmanager
    async def held(self, endpoint: str) -> AsyncIterator[None]:
        """Keep the batch jobs of an endpoint in Queued until the block ends."""
        self.azure.azureml.plan(Plan(status="Queued", match=f"^{endpoint} ", times=-1))
        try:
            yield
        finally:
            self.azure.azureml.resume()

    async def submitted(self, endpoint: str, path: str, *, count: int = 1) -> BatchJob:
        """Wait for the n-th batch job of a path; return it."""
        await self.azure.azureml.until(
            lambda _: len(self.batch_jobs(endpoint, path)) >= count, seconds=SECONDS
        )
        return self.batch_jobs(endpoint, path)[count - 1]

    async def operation(self, key: str, operation: str, *, times: int = 1) -> None:
        """Wait until the app has done a storage operation for a job, for the n-th time."""
        await self.azure.storage.operations.until(
            lambda _: app_operations(self, key).count(operation) >= times, seconds=SECONDS
        )

    async def output(self, event: Event) -> str:
        """Return the text of the output that an event names."""
        path = event["data"]["output"]["uri"].partition("/paths/")[2]
        return bytes(await (await self.landing.download_blob(path)).readall()).decode()


@contextlib.asynccontextmanager
async def site(
    folder: RunFolder, tmp: Path, routes: Iterable[str], endpoints: Iterable[str], **options: Any
) -> AsyncIterator[Site]:
    """Run a local Azure with these endpoints, and lay out the app with these routes.

    `folder` lends its certificates; the options are those of `azureml.start`.
    """
    run_folder = with_certificates_of(folder, tmp / "azure")
    app = _app(tmp / "app", "\n".join(routes))
    options = {"step_seconds": 0.01, **options}
    async with local_azure.start(
        run_folder, endpoints=map(_endpoint, endpoints), **options
    ) as running:
        made = Site(running, app)
        yield made
        await made.close()


def with_certificates_of(folder: RunFolder, path: Path) -> RunFolder:
    """Make a run folder whose authority the clients of this process trust, too."""
    path.mkdir()
    for file in (folder.ca_file, folder.certificate_file):
        shutil.copy(file, path)
    return RunFolder(path)


def _endpoint(name: str) -> Endpoint:
    deployment = Deployment(
        name=f"{name}-1",
        code=_CODE,
        script="score.py",
        settings=Settings(error_threshold=0, max_retries=0),
    )
    return Endpoint(
        name=name, default_deployment=deployment.name, deployments={deployment.name: deployment}
    )


def _app(path: Path, routes: str) -> Path:
    """Lay out the function app as it is deployed, with routes of its own."""
    path.mkdir()
    for name in ("function_app.py", "host.json"):
        shutil.copy(APP / name, path)
    (path / "scoring").symlink_to(APP / "scoring")
    (path / "routes.toml").write_text(routes)
    return path


def message_of(path: str, etag: str, landed: str = "2026-11-24T12:00:00Z") -> str:
    """Return the message of the queue that tells of a file's landing."""
    return json.dumps(
        {
            "topic": "/subscriptions/s/providers/Microsoft.Storage/storageAccounts/landingzone",
            "subject": f"/blobServices/default/containers/{CONTAINER}/blobs/{path}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "eventTime": landed,
            "id": "told by hand",
            "data": {"api": "PutBlob", "eTag": etag, "url": "https://ignored/", "contentLength": 1},
        }
    )


def app_operations(site: Site, *words: str) -> list[str]:
    """Return the app's own storage operations on blobs whose names hold one of these words."""
    return [
        f"{operation.operation} {operation.blob.partition('/')[0]}/"
        for operation in site.azure.storage.operations.log
        if operation.actor == "landfall" and any(word in operation.blob for word in words)
    ]


def log_of(host: Host, event: Event) -> list[str]:
    """Return the actions that the log tells of a job, in their order."""
    said = (re.search(rf"User\[0\] ([a-z-]+) job={event['id']}", line) for line in host.lines)
    return [found[1] for found in said if found]
