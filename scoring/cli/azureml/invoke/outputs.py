"""Where the output of a batch job goes."""

from datetime import UTC, datetime

from scoring.cli.azureml.job.datastore_files import datastore_files
from scoring.cli.failures import UsageError
from scoring.cli.session import Session
from scoring.errors import LandfallError
from scoring.jobs.blobs import Blob
from scoring.routes.route import OutputKind
from scoring.uris import datastore_path, datastore_uri, safe_name

FILE_NAME = "predictions.csv"  # Azure ML's default
_FOLDER = "scored-by-hand"


def checked(uri: str, kind: OutputKind) -> str:
    """Return the URI that the user wants for the output.

    Raises:
        UsageError: an output cannot be there.
    """
    found = datastore_path(uri) if uri.lower().startswith("azureml://") else None
    if found is None or not found[1].strip("/"):
        raise UsageError(
            "--output: must be on a registered datastore in blob storage: give"
            " azureml://datastores/STORE/paths/PATH, or the same with subscriptions/… in front"
        )
    if kind == "none":
        raise UsageError("--output does not go with --output-kind none: leave one of them out")
    if kind == "file" and uri.endswith("/"):
        raise UsageError(f"--output {uri}: the output is a file: add its name after the slash")
    return uri


def unique(datastore: str, endpoint: str, file_name: str, now: datetime, nonce: str) -> str:
    """Return a URI that no other output has; with an empty file name, that of a folder."""
    run = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{nonce}"
    path = f"{_FOLDER}/{safe_name(endpoint)}/{run}/{file_name}"
    return datastore_uri(datastore, path, "literal")


async def is_there(session: Session, uri: str) -> bool:
    """Return whether a file exists at an output's URI; False if that cannot be found out.

    Raises:
        Refused: the workspace has no such datastore in blob storage.
    """
    datastore, path = datastore_path(uri) or ("", "")
    files = await datastore_files(session, datastore)
    try:
        return isinstance(await files.file(path), Blob)
    except LandfallError:
        return False
