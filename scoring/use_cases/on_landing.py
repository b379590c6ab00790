"""From a queue message to jobs: what landed, which routes take it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from scoring.concurrency import for_each_then_raise, time_limit
from scoring.errors import Refused, SetupError, Unavailable, UnreadableMessage
from scoring.events.storage import Ignored, Renamed, read_message
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef, folder_of, job_for
from scoring.jobs.landing import Landing
from scoring.log import Action, info, warning
from scoring.ports import LandingStorage, Services
from scoring.use_cases.submit import start

Event = Landing | Renamed | Ignored


async def on_landing(services: Services, message: bytes) -> None:
    """Start a job for each landing that a queue message tells of and a route takes.

    One event that fails does not stop its neighbours in the message; the platform then delivers
    the message again, and what was claimed is recognised.

    Raises:
        UnreadableMessage: an event cannot be understood.
        Unavailable, SetupError: ledger, storage or workspace cannot be reached, or refuses.
    """
    events, mistakes = understood(message)
    for mistake in mistakes:
        warning(Action.UNREADABLE, reason=str(mistake))
    await take(services, events)
    if mistakes:
        raise mistakes[0]


def understood(message: bytes) -> tuple[list[Event], list[UnreadableMessage]]:
    """Return the events of a message, and for each that cannot be understood why."""
    events: list[Event] = []
    mistakes: list[UnreadableMessage] = []
    for event in read_message(message):
        if isinstance(event, UnreadableMessage):
            mistakes.append(event)
        else:
            events.append(event)
    return events, mistakes


async def take(services: Services, events: Sequence[Event], *, later: bool = False) -> None:
    """Start the jobs of all these events; with `later` poll submits them.

    Raises:
        Unavailable, SetupError: the first failure, when all the others are done; or there was
            not enough time: what was claimed is known when the message comes again.
    """
    async with time_limit(services.timing.cut, "the message"):
        await for_each_then_raise(partial(_take, services, later=later), events)


async def _take(services: Services, event: Event, *, later: bool) -> None:
    if isinstance(event, Ignored):
        info(Action.IGNORED, path=event.path, reason=event.reason)
        return
    if isinstance(event, Renamed):
        await _take_renamed(services, event, later=later)
        return
    await land(services, event, later=later)


async def land(services: Services, landing: Landing, *, later: bool = False) -> None:
    """Start a job, or fill a folder, for each route that takes a landing.

    With `later` poll submits the jobs.
    """
    places = await services.workspace.places()
    reason: str | None = "no-route"
    steps: list[Callable[[], Awaitable[object]]] = []
    for route in services.routes:
        place = places.get(route.datastore)
        if place is None or (place.account, place.container) != (
            landing.account,
            landing.container,
        ):
            continue
        takes = route.triggered_by(landing.path) is not None
        if takes and route.gathers:
            info(Action.WAITING, path=landing.path, route=route.name, reason="quiet")
            steps.append(partial(services.touches.touch, folder_of(route, landing.path, place)))
        elif takes:
            job = job_for(route, landing, place, services.escaping)
            steps.append(partial(start, services, job, later=later))
        elif route.holds(landing.path):
            info(Action.WAITING, path=landing.path, route=route.name, reason="marker")
            reason = None
    if not steps and reason:
        info(Action.IGNORED, path=landing.path, container=landing.container, reason=reason)
    await for_each_then_raise(lambda step: step(), steps)


async def _take_renamed(services: Services, renamed: Renamed, *, later: bool) -> None:
    """Take what has a new path: its version has to be looked for."""
    here = (renamed.account, renamed.container)
    places = (await services.workspace.places()).values()
    place = next((one for one in places if (one.account, one.container) == here), None)
    if place is None:
        info(Action.IGNORED, path=renamed.path, container=renamed.container, reason="no-route")
    elif renamed.directory:
        await _take_directory(services, renamed, place)
    else:
        await _take_blob(services, renamed, place, later=later)


async def _take_blob(
    services: Services, renamed: Renamed, place: ContainerRef, *, later: bool
) -> None:
    blob = await _look(services.storage, place, renamed.path)
    if isinstance(blob, Forbidden):
        raise SetupError(f"the app may not look at {renamed.path}, which was renamed")
    if blob is None:
        info(Action.IGNORED, path=renamed.path, container=renamed.container, reason="deleted")
        return
    await land(services, blob.landing(place, renamed.renamed), later=later)


async def _look(storage: LandingStorage, place: ContainerRef, path: str) -> Blob | Forbidden | None:
    """Look at a blob; a listing shows the version also of one that is refused permanently."""
    try:
        return await storage.blob(place, path)
    except Refused:
        page = await storage.page(place, path, "")
        return next((one for one in page.blobs if one.path == path), None)


async def _take_directory(services: Services, renamed: Renamed, place: ContainerRef) -> None:
    """Take what lies in a directory, whenever it was written: renames keep Last-Modified.

    Raises:
        Unavailable: it was not done in time; the message comes back, and what is claimed is known.
    """
    last_page = services.until(services.timing.deadline)
    next_page = ""
    while True:
        page = await services.storage.page(place, f"{renamed.path}/", next_page)
        wanted = [blob for blob in page.blobs if _is_wanted(services, blob.path)]
        landings = [blob.landing(place, renamed.renamed) for blob in wanted]
        await for_each_then_raise(partial(land, services, later=True), landings)
        if not page.next:
            return
        if services.clock() >= last_page:
            raise Unavailable(f"directory {renamed.path} is large: the next delivery goes on")
        next_page = page.next


def _is_wanted(services: Services, path: str) -> bool:
    return any(route.triggered_by(path) is not None for route in services.routes)
