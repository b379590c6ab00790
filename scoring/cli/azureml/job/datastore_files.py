"""The files on one datastore of the workspace."""

from scoring.azure.landing_storage import AzureLandingStorage
from scoring.cli.datastores import place_of
from scoring.cli.session import Session
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef
from scoring.uris import blob_url


class DatastoreFiles:
    """The files on one datastore."""

    def __init__(self, session: Session, place: ContainerRef) -> None:
        self.place = place
        self.service = session.clients.landing_storage(place.account, place.account_url)
        self._storage = AzureLandingStorage(lambda _: self.service)

    def url(self, path: str) -> str:
        """Return the https URL of a path."""
        return blob_url(self.place.account_url, self.place.container, path)

    async def file(self, path: str) -> Blob | Forbidden | None:
        """Return the properties of a file; None if it does not exist."""
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
    """Ask ARM where a datastore is, and return its files.

    Raises:
        Refused: the workspace has no datastore of this name in blob storage.
    """
    place = await place_of(session.arm, datastore, session.clients)
    return DatastoreFiles(session, place)
