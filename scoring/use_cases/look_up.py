"""What an event does not say of a landing: the blob itself tells it."""

import msgspec

from scoring.errors import LandfallError, Refused, SetupError, Unavailable
from scoring.events.storage import DirectoryRenamed, PartialLanding
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef
from scoring.jobs.landing import Landing
from scoring.ports import LandingStorage, Services


async def place_of(
    services: Services, event: PartialLanding | DirectoryRenamed
) -> ContainerRef | None:
    """Return the container that an event is about, if it is one of the workspace's."""
    here = (event.account, event.container)
    places = (await services.workspace.places()).values()
    return next((one for one in places if (one.account, one.container) == here), None)


async def look_up(services: Services, event: PartialLanding) -> Landing | str:
    """Return the landing with all that a look at its blob tells, or why it is none.

    Raises:
        Unavailable: the blob cannot be looked at now.
        SetupError: it cannot be looked at, and its event does not say enough.
    """
    place = await place_of(services, event)
    if place is None:
        return "no-route"
    known = _known(event)
    try:
        blob = await _look(services.storage, place, event.path)
    except Unavailable:
        raise
    except LandfallError:
        if known is None:
            raise
        return known  # its job looks at it again
    if isinstance(blob, Blob):
        return "directory" if blob.is_directory else _completed(event, blob, place)
    if known is None and isinstance(blob, Forbidden):
        raise SetupError(f"the app may not look at {event.path}, whose event does not say enough")
    return known or "deleted"


async def _look(storage: LandingStorage, place: ContainerRef, path: str) -> Blob | Forbidden | None:
    """Look at a blob; a listing shows the version also of one that is refused permanently."""
    try:
        return await storage.blob(place, path)
    except Refused:
        page = await storage.page(place, path, "")
        return next((one for one in page.blobs if one.path == path), None)


def _known(event: PartialLanding) -> Landing | None:
    """Return the landing as its event tells of it, if that is enough to make a job of it."""
    if not event.etag or event.landed is None:
        return None
    return Landing(
        account=event.account,
        container=event.container,
        path=event.path,
        etag=event.etag,
        size=0,
        landed=event.landed,
    )


def _completed(event: PartialLanding, blob: Blob, place: ContainerRef) -> Landing:
    landing = blob.landing(place, event.landed or blob.modified)
    if event.etag in ("", blob.etag):
        return landing
    return msgspec.structs.replace(landing, etag=event.etag, size=0)  # overwritten since then
