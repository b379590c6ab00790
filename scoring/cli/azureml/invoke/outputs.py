"""Where outputs lie: said, made up, and found again."""

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
    """Return where the user wants the output.

    Raises:
        UsageError: an output cannot lie there.
    """
    found = datastore_path(uri) if uri.lower().startswith("azureml://") else None
    if found is None or not found[1].strip("/"):
        raise UsageError(
            "--output: an output lies on a registered datastore in blob storage: say"
            " azureml://datastores/STORE/paths/PATH, or the same with subscriptions/… in front"
        )
    if kind == "none":
        raise UsageError("--output does not go with --output-kind none: leave one of them out")
    if kind == "file" and uri.endswith("/"):
        raise UsageError(f"--output {uri}: the output is a file: give it a name after the slash")
    return uri


def unique(datastore: str, endpoint: str, file_name: str, now: datetime, nonce: str) -> str:
    """Return where an output goes that nobody chose a place for; an empty name: to a folder."""
    run = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{nonce}"
    path = f"{_FOLDER}/{safe_name(endpoint)}/{run}/{file_name}"
    return datastore_uri(datastore, path, "literal")


async def is_there(session: Session, uri: str) -> bool:
    """Tell whether a file lies at an output's place; False also where nobody can tell.

    Raises:
        Refused: there is no such datastore in blob storage.
    """
    datastore, path = datastore_path(uri) or ("", "")
    files = await datastore_files(session, datastore)
    try:
        return isinstance(await files.file(path), Blob)
    except LandfallError:
        return False
