"""The composition root: makes the services of the process, once, at the first invocation."""

import functools
import logging
import os
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from scoring.azure.batch_endpoint import AzureBatchEndpoints
from scoring.azure.clients import Clients
from scoring.azure.event_grid import EventGridTopic
from scoring.azure.landing_storage import AzureLandingStorage
from scoring.azure.ledger.folders import BlobFolders
from scoring.azure.ledger.jobs import BlobLedger
from scoring.azure.ledger.marks import BlobMarks
from scoring.azure.ledger.messages import BlobMessages
from scoring.azure.workspace import AzureWorkspace, ReadOnlyMemory
from scoring.errors import SetupError
from scoring.jobs.job import ContainerRef
from scoring.log import Action, error, info
from scoring.ports import Services
from scoring.routes.file import read_routes
from scoring.routes.route import Route
from scoring.routes.rules import Mistake, without_loops
from scoring.settings import Settings, read_settings
from scoring.timing import Timing
from scoring.use_cases.quiet_folders import Touches
from scoring.version import VERSION

ROUTES_FILE = Path(__file__).parent.parent / "routes.toml"

# These log a line for each request at INFO, which would bury our own.
_TALKATIVE = ("azure", "httpx", "httpcore")


async def services() -> Services:
    """Return the services of this process; the first call makes them.

    Raises:
        SetupError: settings or routes.toml cannot be used, or the workspace refuses.
        Unavailable: the workspace cannot be asked where the datastores are.
    """
    return _with_good_routes(frozenset((await prepared().workspace.places()).items()))


def prepared() -> Services:
    """Return the services before the workspace was asked where the datastores are.

    Their routes are all that can be read.

    Raises:
        SetupError: settings or routes.toml cannot be used.
    """
    made, _ = _made()
    return made


@functools.cache
def _made() -> tuple[Services, list[Mistake]]:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    settings = read_settings(os.environ)
    routes, mistakes = read_routes_file(ROUTES_FILE, os.environ)
    made = make(settings, routes, Clients(settings))
    # Here, and not at import: what is logged there the host drops.
    info(Action.STARTED, version=made.version, routes=len(routes))
    named = (mistake.route for mistake in mistakes if mistake.named)
    names = sorted({*named, *(route.name for route in routes)})
    return msgspec.structs.replace(made, route_names=names), mistakes


@functools.lru_cache(maxsize=1)
def _with_good_routes(datastores: frozenset[tuple[str, ContainerRef]]) -> Services:
    """Return the services with the routes that work in these datastores; name the others, once."""
    made, mistakes = _made()
    routes, mistakes = good_routes(list(made.routes), mistakes, dict(datastores))
    for mistake in mistakes:
        error(Action.ROUTE_BROKEN, route=mistake.route, problem=str(mistake))
    return msgspec.structs.replace(made, routes=routes)


def good_routes(
    routes: list[Route], mistakes: list[Mistake], places: Mapping[str, ContainerRef]
) -> tuple[list[Route], list[Mistake]]:
    """Leave out the routes that loop in one container, and say which datastores are not there.

    A route without its datastore stays: it may be registered later, and is looked for again.
    """

    def container(route: Route) -> tuple[str, str]:
        place = places.get(route.datastore)
        return (place.account, place.container) if place else ("(no datastore)", route.datastore)

    good, mistakes = without_loops(routes, container, mistakes)
    return good, [
        *mistakes,
        *(_no_datastore(route) for route in good if route.datastore not in places),
    ]


def read_routes_file(
    file: Path, environment: Mapping[str, str]
) -> tuple[list[Route], list[Mistake]]:
    """Return the routes of a file that can be used, and what is wrong with the others.

    Raises:
        SetupError: the file cannot be read, or is no TOML.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as failure:
        raise SetupError(
            f"{file.name}: {failure.strerror}: put it beside function_app.py"
        ) from None
    except UnicodeDecodeError as mistake:
        raise SetupError(f"{file.name}: it is not UTF-8: {mistake.reason}") from None
    return read_routes(text, environment)


def _no_datastore(route: Route) -> Mistake:
    problem = f"the workspace has no datastore {route.datastore!r} in blob storage"
    return Mistake(route=route.name, field="datastore", problem=problem)


def make(
    settings: Settings, routes: list[Route], clients: Clients, *, remembers: bool = True
) -> Services:
    """Return services for these settings and routes, which are closed with the clients.

    Args:
        settings: the app's settings.
        routes: those of routes.toml.
        clients: the ways to the services.
        remembers: whether what the workspace says is kept for the hosts of the app.

    Raises:
        SetupError: a setting cannot be used.
    """
    container = clients.blob_service(settings.storage).get_container_client(
        settings.ledger_container
    )
    folders, marks = BlobFolders(container), BlobMarks(container)
    timing = Timing(
        tick=timedelta(seconds=settings.poll_seconds),
        sweep=timedelta(minutes=settings.sweep_minutes),
        retention=timedelta(days=settings.retention_days),
    ).scaled(settings.pace)
    return Services(
        ledger=BlobLedger(container),
        marks=marks,
        folders=folders,
        messages=BlobMessages(container),
        storage=AzureLandingStorage(
            lambda place: clients.landing_storage(place.account, place.account_url)
        ),
        workspace=AzureWorkspace(
            clients.arm,
            settings.arm_url + settings.workspace_id,
            marks if remembers else ReadOnlyMemory(marks),
            account_url=clients.account_url,
            clock=time.monotonic,
        ),
        endpoints=AzureBatchEndpoints(clients.ml, post_seconds=timing.post.total_seconds()),
        publisher=EventGridTopic(clients.topic, settings.topic_endpoint),
        routes=routes,
        version=VERSION,
        source=settings.workspace_id,
        escaping=settings.escaping,
        metadata_prefix=settings.metadata_prefix,
        timing=timing,
        nonce=lambda: secrets.token_hex(8),
        touches=Touches(folders, time.monotonic),
        clock=time.monotonic,
    )
