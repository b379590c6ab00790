"""From a queue message to jobs: what landed, which routes take it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from scoring.concurrency import for_each_then_raise, time_limit
from scoring.errors import Unavailable, UnreadableMessage
from scoring.events.storage import (
    DirectoryRenamed,
    Event,
    Ignored,
    PartialLanding,
    read_message,
)
from scoring.jobs.job import folder_of, job_for
from scoring.jobs.landing import Landing
from scoring.log import Action, info, warning
from scoring.ports import Services
from scoring.use_cases.look_up import look_up, place_of
from scoring.use_cases.submit import start


async def on_landing(services: Services, message: bytes) -> None:
    """Start a job for each landing that a queue message tells of and a route takes.

    One event that fails does not stop its neighbours in the message; the platform then delivers
    the message again, and what was claimed is recognised.

    Raises:
        UnreadableMessage: an event cannot be understood.
        Unavailable, SetupError: ledger, storage or workspace cannot be reached, or refuses.
    """
    events, mistakes = understood(message)
    if mistakes:
        warning(Action.UNREADABLE, reason=str(mistakes[0]), more=len(mistakes) - 1 or None)
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
    ignored = [event for event in events if isinstance(event, Ignored)]
    if ignored:
        first, more = ignored[0], len(ignored) - 1 or None
        info(Action.IGNORED, path=first.path, reason=first.reason, more=more)
    async with time_limit(services.timing.cut, "the message"):
        await for_each_then_raise(partial(_take, services, later=later), events)


async def _take(services: Services, event: Event, *, later: bool) -> None:
    match event:
        case Landing():
            await land(services, event, later=later)
        case PartialLanding():
            await _take_partial(services, event, later=later)
        case DirectoryRenamed():
            await _take_directory(services, event)
        case Ignored():
            pass  # it was logged


async def land(services: Services, landing: Landing, *, later: bool = False) -> None:
    """Start a job, or fill a folder, for each route that takes a landing.

    With `later` poll submits the jobs.
    """
    places = await services.workspace.places()
    waits = False
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
            waits = True
    if not steps and not waits:
        _ignore(landing, _no_route(services, landing.path))
    await for_each_then_raise(lambda step: step(), steps)


async def _take_partial(services: Services, event: PartialLanding, *, later: bool) -> None:
    """Take a landing whose event does not say all that is needed of it."""
    watched = any(
        route.triggered_by(event.path) is not None or route.holds(event.path)
        for route in services.routes
    )
    found = await look_up(services, event) if watched else _no_route(services, event.path)
    if isinstance(found, Landing):
        await land(services, found, later=later)
    else:
        _ignore(event, found)


async def _take_directory(services: Services, renamed: DirectoryRenamed) -> None:
    """Take what lies in a directory, whenever it was written: renames keep Last-Modified.

    Raises:
        Unavailable: it was not done in time; the message comes back, and what is claimed is known.
    """
    place = await place_of(services, renamed)
    if place is None:
        _ignore(renamed, "no-route")
        return
    last_page = services.until(services.timing.deadline)
    next_page = ""
    while True:
        page = await services.storage.page(place, f"{renamed.path}/", next_page)
        wanted = [blob for blob in page.blobs if _is_wanted(services, blob.path)]
        landings = [blob.landing(place, renamed.landed or blob.modified) for blob in wanted]
        await for_each_then_raise(partial(land, services, later=True), landings)
        if not page.next:
            return
        if services.clock() >= last_page:
            raise Unavailable(f"directory {renamed.path} is large: the next delivery goes on")
        next_page = page.next


def _is_wanted(services: Services, path: str) -> bool:
    return any(route.triggered_by(path) is not None for route in services.routes)


def _no_route(services: Services, path: str) -> str:
    """Return why no route takes a path."""
    refused = any(route.refuses(path) for route in services.routes)
    return "dot-segment" if refused else "no-route"


def _ignore(event: Landing | PartialLanding | DirectoryRenamed, reason: str) -> None:
    info(Action.IGNORED, path=event.path, container=event.container, reason=reason)
