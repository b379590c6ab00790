"""The output of a batch job: finds and downloads it."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from scoring.azure.errors import Missing, translating_errors
from scoring.cli.azureml.job.datastore_files import DatastoreFiles, datastore_files
from scoring.cli.azureml.job.endpoint_jobs import Described
from scoring.cli.console import Bar, Console
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from scoring.errors import Denied
from scoring.jobs.blobs import Blob, Forbidden
from scoring.log import redacted
from scoring.uris import datastore_path, datastore_uri

_DEFAULT_DATASTORE = "workspaceblobstore"
_ROLE = "your identity needs the role Storage Blob Data Reader there"


@dataclass(frozen=True, kw_only=True)
class Output:
    """The files of an output."""

    uri: str  # azureml://…
    url: str  # https://…
    files: DatastoreFiles
    blobs: Sequence[Blob]
    base: str  # the part of their paths that is left out on this machine

    def name(self, blob: Blob) -> str:
        """Return the path of a file on this machine, relative and with `/`."""
        return blob.path.removeprefix(self.base)


async def found(session: Session, described: Described) -> Output:
    """Find the output of a batch job.

    Raises:
        Refused: there is none, or it is not on a datastore.
        Denied: it may not be read.
    """
    places = _places(described)
    for datastore, path in places:
        files = await datastore_files(session, datastore)
        output = await read_output(files, datastore, path)
        if output is not None:
            return output
    searched = " nor at ".join(datastore_uri(*place, "literal") for place in places)
    raise Refused(
        f"there is no output at {searched}: batch job {described.job.name} is {described.state}",
        **described.plain(),
    )


def _places(described: Described) -> list[tuple[str, str]]:
    """Return where the output may be: datastore and path."""
    uris = described.job.outputs
    if not uris:
        # "In the workspace's default blob store within a folder named by job name".
        name = described.job.name
        return [(_DEFAULT_DATASTORE, f"{name}/"), (_DEFAULT_DATASTORE, f"azureml/{name}/")]
    places = list(filter(None, map(datastore_path, uris)))
    if not places:
        raise Refused(
            f"the output of batch job {described.job.name} is not on a datastore:"
            f" {', '.join(map(redacted, uris))}"
        )
    # It is not documented whether the service decodes percent escapes: try both.
    return list(dict.fromkeys(place for ds, path in places for place in _readings(ds, path)))


def _readings(datastore: str, path: str) -> list[tuple[str, str]]:
    return [(datastore, path), (datastore, unquote(path))]


async def read_output(files: DatastoreFiles, datastore: str, path: str) -> Output | None:
    """Return the output at a path; None if there is nothing.

    Raises:
        Denied: it may not be read.
    """
    blob = None if path.endswith("/") else await files.file(path)
    if isinstance(blob, Forbidden):
        raise Denied(f"{files.url(path)}: may not be read: {_ROLE}")
    blobs = [blob] if blob is not None else await files.below(path)
    blobs = [
        one for one in blobs if not one.path.endswith("/")
    ]  # some tools create these for folders
    if not blobs:
        return None
    base = path.rpartition("/")[0] if blob is not None else path.rstrip("/")
    return Output(
        uri=datastore_uri(datastore, path, "literal"),
        url=files.url(path),
        files=files,
        blobs=blobs,
        base=f"{base}/" if base else "",
    )


async def download(output: Output, folder: Path, console: Console, *, force: bool) -> list[Path]:
    """Download all files of an output into a folder; return them in the order of the output.

    A file gets its name only when it is complete.

    Raises:
        UsageError: a file of that name exists, and `force` is not set.
        Refused, Denied, Unavailable: the output cannot be read.
    """
    targets = [_target(folder, output.name(blob)) for blob in output.blobs]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise Refused(f"the output has two files that would both become {target}")
        if target.exists() and not force:
            raise UsageError(
                f"{target} exists: use --force to replace it, or another folder with --to"
            )
    total = sum(blob.size for blob in output.blobs)
    with console.bar(f"downloading {output.uri}", total, bytes_=True) as bar:
        for blob, target in zip(output.blobs, targets, strict=True):
            await _download(output.files, blob, target, bar)
    return targets


def _target(folder: Path, name: str) -> Path:
    target = folder / name
    try:
        below = folder.resolve() in target.resolve().parents
    except ValueError as mistake:
        raise Refused(f"the output has a file named {name!r}: {mistake}") from None
    if not below:
        raise Refused(f"the output has a file named {name}, which would be outside {folder}")
    return target


async def _download(files: DatastoreFiles, blob: Blob, target: Path, bar: Bar) -> None:
    part = target.with_name(f"landfall-{secrets.token_hex(8)}.part")  # no other file has this name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as into:
                await _stream(files, blob, into, bar)
            os.replace(part, target)  # noqa: PTH105 - the same
        finally:
            part.unlink(missing_ok=True)
    except OSError as failure:
        raise UsageError(f"{failure.filename or target}: {failure.strerror}") from None


async def _stream(files: DatastoreFiles, blob: Blob, into: BinaryIO, bar: Bar) -> None:
    client = files.service.get_blob_client(files.place.container, blob.path)
    try:
        with translating_errors(files.url(blob.path)):
            stream = await client.download_blob()
            async for chunk in stream.chunks():
                into.write(chunk)
                bar.advance(len(chunk))
    except Missing:
        raise Refused(f"{files.url(blob.path)}: it was deleted in the meantime") from None
    except Denied as refusal:
        raise Denied(f"{refusal}: {_ROLE}") from None
