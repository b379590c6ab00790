"""The ledger's documents: how each is written and read by the ledger's own classes.

tests/payloads/ledger-<version>/ holds what a release wrote. When what is written changes, keep that
folder and write another: `python -m tests.azure.ledger.documents <version>`.
"""

import asyncio
import contextlib
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
from azure.storage.blob.aio import ContainerClient

from local import storage as storage_part
from local.names import APP_ACCOUNT
from local.run_folder import RunFolder
from local.storage import Storage
from scoring.azure.http import AuthorizedHttp
from scoring.azure.ledger.folders import BlobFolders
from scoring.azure.ledger.jobs import BlobLedger
from scoring.azure.ledger.marks import BlobMarks
from scoring.azure.ledger.messages import BlobMessages
from scoring.azure.workspace import AzureWorkspace
from scoring.events.completion import completion_event, receipt, summary, version_in
from scoring.events.dead_letters import DeadLetterKind
from scoring.jobs.job import Folder, Job, attempt_tag
from scoring.jobs.outcome import Outcome
from scoring.jobs.progress import Progress
from tests.azure.access import access
from tests.azure.ledger.records import MARKED, MINUTE, POLL_MARK, QUIET, SWEEP_MARK, ends, entries
from tests.factories import NOW, place
from tests.pages import ROOT

PAYLOADS = ROOT / "tests" / "payloads"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A blob of the ledger."""

    name: str
    metadata: dict[str, str]
    body: str


class Case(NamedTuple):
    """A document, by what writes it, what reads it, and what is read."""

    write: Callable[[ContainerClient], Awaitable[object]]
    read: Callable[[ContainerClient], Awaitable[object]]
    record: object


# --- open/ and done/ ----------------------------------------------------------------------------


def _open(job: Job, progress: Progress) -> Case:
    async def read(container: ContainerClient) -> object:
        ledger = BlobLedger(container)
        entry = (await ledger.open_jobs()).of(job.key)
        return await ledger.job(job.key), entry and entry.progress

    return Case(lambda blobs: BlobLedger(blobs).claim(job, progress), read, (job, progress))


def _done(job: Job, progress: Progress, outcome: Outcome) -> Case:
    event = completion_event(
        job=job,
        progress=progress,
        outcome=outcome,
        overwritten=False if progress.batch_job else None,
        ended=NOW + 3 * MINUTE,
        source="/subscriptions/s/resourceGroups/g/workspaces/w",
        version="0.1.0",
    )

    async def read(container: ContainerClient) -> object:
        stands = await BlobLedger(container).end(job.key)
        assert stands is not None
        return summary(stands)["job"], version_in(stands), receipt(stands)[0]

    record = job.key, job.landing.etag, progress.attempt
    return Case(lambda blobs: BlobLedger(blobs).conclude(job.key, event), read, record)


# --- filling/ and turns/ ------------------------------------------------------------------------


def _filling(folder: Folder, *, counted_anew: bool) -> Case:
    async def write(container: ContainerClient) -> None:
        folders = BlobFolders(container)
        mark = await folders.touch(folder, None)
        if counted_anew:
            await folders.count_anew(mark, NOW)

    async def read(container: ContainerClient) -> object:
        folders = BlobFolders(container)
        (mark,) = [one for one in (await folders.filling()).marks if one.key == folder.key]
        since = None if mark.since == mark.changed else mark.since
        return await folders.folder(folder.key), mark.quiet, mark.at_most, since

    ready, since = folder.ready, NOW if counted_anew else None
    return Case(write, read, (folder, ready.quiet, ready.at_most, since))


def _turn(key: str, tag: str) -> Case:
    async def read(container: ContainerClient) -> object:
        turn = await BlobFolders(container).cooldown(key)
        return turn and turn.tag

    return Case(lambda blobs: BlobFolders(blobs).start_cooldown(key, tag, None), read, tag)


# --- control/ -----------------------------------------------------------------------------------


def _poll_mark() -> Case:
    async def read(container: ContainerClient) -> object:
        return msgspec.structs.replace(await BlobMarks(container).poll_mark(), version=None)

    return Case(lambda blobs: BlobMarks(blobs).leave_poll_mark(POLL_MARK), read, POLL_MARK)


def _sweep_mark(name: str) -> Case:
    async def read(container: ContainerClient) -> object:
        mark, _ = await BlobMarks(container).sweep_mark(name)
        return msgspec.structs.replace(mark, version=None)

    return Case(lambda blobs: BlobMarks(blobs).leave_sweep_mark(name, SWEEP_MARK), read, SWEEP_MARK)


def _last_answers() -> Case:
    uri = "https://classifier.ml.azure.com/jobs"

    def answers(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/datastores"):
            where = {"accountName": "landingzone", "containerName": "c"}
            datastore = {"datastoreType": "AzureBlob", **where}
            listed = [{"name": "workspaceblobstore", "properties": datastore}]
            return httpx.Response(200, json={"value": listed})
        endpoint = {"scoringUri": uri, "defaults": {"deploymentName": "blue"}}
        return httpx.Response(200, json={"properties": endpoint})

    def is_down(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    async def ask(container: ContainerClient, arm: httpx.MockTransport) -> object:
        workspace = _workspace(container, arm)
        endpoint = await workspace.endpoint("classifier")
        assert endpoint is not None
        return await workspace.places(), endpoint.scoring_uri, endpoint.default_deployment

    up, down = httpx.MockTransport(answers), httpx.MockTransport(is_down)
    record = {"workspaceblobstore": place()}, uri, "blue"
    return Case(lambda blobs: ask(blobs, up), lambda blobs: ask(blobs, down), record)


def _workspace(container: ContainerClient, arm: httpx.MockTransport) -> AzureWorkspace:
    client = httpx.AsyncClient(transport=arm)
    return AzureWorkspace(
        AuthorizedHttp(client, access(hosts=["management.azure.com"])),
        "https://management.azure.com/workspaces/w",
        BlobMarks(container),
        account_url=lambda account, suffix: f"https://{account}.blob.{suffix}",
        clock=lambda: 0.0,
    )


# --- quarantine/ and stuck/ ---------------------------------------------------------------------


def _dead_letter(
    kind: DeadLetterKind, digest: str, reason: str, *, announced: bool = False
) -> Case:
    message = b"no event"

    async def write(container: ContainerClient) -> None:
        messages = BlobMessages(container)
        kept = await messages.keep(kind, digest, message, reason)
        if announced:
            await messages.mark_announced(kept)

    async def read(container: ContainerClient) -> object:
        messages = BlobMessages(container)
        (kept,) = [one for one in await messages.kept(kind) if one.digest == digest]
        return await messages.message(kept), kept.size, kept.reason, kept.announced

    return Case(write, read, (message, len(message), reason, announced))


# --- all of them --------------------------------------------------------------------------------

_ELSEWHERE = msgspec.structs.replace(QUIET, path="landing/ü b")
_QUARANTINE = DeadLetterKind.QUARANTINE

CASES: Mapping[str, Case] = {
    **{f"open-{title}": _open(*entry) for title, entry in entries().items()},
    **{f"done-{status}": _done(*end) for status, end in ends().items()},
    "filling-first-touch": _filling(QUIET, counted_anew=False),
    "filling-counted-anew": _filling(_ELSEWHERE, counted_anew=True),
    "turns": _turn(MARKED.folder.key, attempt_tag(MARKED.key, 1)),
    "control-poll": _poll_mark(),
    "control-sweep": _sweep_mark("files"),
    "control-workspace": _last_answers(),
    "quarantine": _dead_letter(_QUARANTINE, "0" * 64, 'no "event": 100 % ü'),
    "quarantine-announced": _dead_letter(_QUARANTINE, "1" * 64, "no event", announced=True),
    "stuck": _dead_letter(DeadLetterKind.STUCK, "0" * 64, "Unavailable: 503"),
}


def kept(folder: Path) -> dict[str, Document]:
    """Return the documents of a folder by their titles."""
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=Document)
        for file in folder.glob("*.json")
    }


@contextlib.asynccontextmanager
async def empty_container(storage: Storage) -> AsyncIterator[ContainerClient]:
    """Make a container for a ledger of its own."""
    secret = storage.connection_string(APP_ACCOUNT)
    async with ContainerClient.from_connection_string(secret, f"l{uuid.uuid4().hex}") as container:
        await container.create_container()
        yield container
        await container.delete_container()


async def written(container: ContainerClient) -> dict[str, Document]:
    """Write all documents, and return them as they lie there."""
    found: dict[str, Document] = {}
    for title, case in CASES.items():
        before = {document.name for document in found.values()}
        await case.write(container)
        (name,) = {name async for name in container.list_blob_names()} - before
        download = await container.download_blob(name)
        body = (await download.readall()).decode()
        found[title] = Document(name=name, metadata=download.properties.metadata, body=body)
    return found


def newest() -> dict[str, Document]:
    """Return what is written today: a release's folder has what it writes otherwise than before."""
    releases = sorted(PAYLOADS.glob("ledger-*"))
    return {title: one for release in releases for title, one in kept(release).items()}


async def put(container: ContainerClient, document: Document) -> None:
    """Put a document where it was."""
    await container.upload_blob(document.name, document.body, metadata=document.metadata)


async def _written_anywhere(run: RunFolder) -> dict[str, Document]:
    async with storage_part.start(run) as storage, empty_container(storage) as container:
        return await written(container)


def main(version: str) -> None:
    """Keep what the code writes today, where that is new."""
    folder = PAYLOADS / f"ledger-{version}"
    folder.mkdir()
    with tempfile.TemporaryDirectory(prefix="landfall-") as run:
        documents = asyncio.run(_written_anywhere(RunFolder(Path(run))))
    before = newest()
    for title, document in documents.items():
        if before.get(title) == document:
            continue
        text = msgspec.json.format(msgspec.json.encode(document))
        (folder / f"{title}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
