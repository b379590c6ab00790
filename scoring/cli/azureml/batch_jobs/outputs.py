"""Where outputs lie: said, made up, and found again."""

from datetime import UTC, datetime

from scoring.azure.landing_storage import AzureLandingStorage
from scoring.cli.datastores import place_of
from scoring.cli.failures import UsageError
from scoring.cli.session import Session
from scoring.errors import LandfallError
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef
from scoring.routes.route import OutputKind
from scoring.uris import blob_url, datastore_path, datastore_uri, safe_name

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


class DatastoreFiles:
    """The blobs on one datastore."""

    def __init__(self, session: Session, place: ContainerRef) -> None:
        self.place = place
        self.service = session.clients.landing_storage(place.account, place.account_url)
        self._storage = AzureLandingStorage(lambda _: self.service)

    def url(self, path: str) -> str:
        """Return the https URL of a path."""
        return blob_url(self.place.account_url, self.place.container, path)

    async def file(self, path: str) -> Blob | Forbidden | None:
        """Return what is known of a file; None: there is none."""
        return await self._storage.blob(self.place, path)

    async def below(self, folder: str) -> list[Blob]:
        """List all files of a folder, at any depth."""
        blobs: list[Blob] = []
        start = ""
        while True:
            page = await self._storage.page(self.place, f"{folder.rstrip('/')}/", start)
            blobs += page.blobs
            if not page.next:
                return blobs
            start = page.next


async def datastore_files(session: Session, datastore: str) -> DatastoreFiles:
    """Ask ARM where a datastore is.

    Raises:
        Refused: there is none of that name in blob storage.
    """
    place = await place_of(session.arm, datastore, session.clients)
    return DatastoreFiles(session, place)


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
