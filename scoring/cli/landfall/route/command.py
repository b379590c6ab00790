"""`route PATH`: which routes take a path, and why the others do not."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
from cyclopts import Parameter

from scoring.cli.console import Console
from scoring.cli.datastores import places_of, registered
from scoring.cli.failures import Exit, Refused, UsageError
from scoring.cli.landfall.route.matching import Dropped, Take, left_out, take
from scoring.cli.session import DEFAULTS, AppSettings, Needs, Options, opened
from scoring.jobs.job import ContainerRef
from scoring.jobs.landing import normal_etag
from scoring.routes.route import Route
from scoring.routes.rules import Mistake
from scoring.services import good_routes, read_routes_file
from scoring.settings import read_escaping
from scoring.uris import Escaping, blob_url, datastore_path

Places = Mapping[str, ContainerRef]


async def route(
    path: str,
    /,
    *,
    app: Annotated[AppSettings, Needs],
    etag: str | None = None,
    container: Annotated[str | None, Parameter(alias="-c")] = None,
    options: Options = DEFAULTS,
) -> Exit:
    """Say which routes take a path, with which input URI and output; and why the others do not.

    A path in a container needs no network. The workspace is asked where its datastores are if
    the path is a URL or an azureml:// URI, or with --etag or --container.

    Args:
        path: Of the file in its container; or its https:// URL, or azureml:// URI.
        etag: Of the file; then the job's key and its output are the true ones.
        container: That the file lies in; routes of other containers do not take it.
    """
    escaping = read_escaping(app.values)
    good, mistakes = read_routes_file(app.routes_file, app.values)
    dropped = Dropped(path=path, landed=datetime.now(UTC), container=container)
    if etag is not None:
        dropped = msgspec.structs.replace(dropped, etag=normal_etag(etag))
    places = None
    if etag is not None or container is not None or "://" in path:
        places = await _places(app)
        good, mistakes = good_routes(good, mistakes, places)
        dropped = located(dropped, places, escaping)
    takes = takes_of(good, mistakes, dropped, places, escaping)
    _show(app.console, takes)
    app.console.result(path=dropped.path, routes=[msgspec.to_builtins(one) for one in takes])
    return Exit.DONE if any(one.takes for one in takes) else Exit.REFUSED


def takes_of(
    good: list[Route],
    mistakes: list[Mistake],
    dropped: Dropped,
    places: Places | None,
    escaping: Escaping,
) -> list[Take]:
    """Return what each route of a file makes of a path; those that take it come first."""
    named = {one.name for one in good}
    takes = [take(one, dropped, places, escaping) for one in good]
    # Who has a mistake and is among the good ones is only without its datastore.
    takes += [left_out(mistake) for mistake in mistakes if mistake.route not in named]
    return sorted(takes, key=lambda one: not one.takes)


def located(dropped: Dropped, places: Places, escaping: Escaping) -> Dropped:
    """Return a file whose path may be a URL or an azureml:// URI by its place and its path.

    Raises:
        UsageError: it is neither, or names another container than was said.
        Refused: the workspace has no such datastore.
    """
    if "://" not in dropped.path:
        return dropped
    if dropped.container is not None:
        raise UsageError("a URI names its container: leave --container out")
    if dropped.path.startswith("https://"):
        account, container, path = _read_url(dropped.path, places)
    else:
        account, container, path = _read_datastore(dropped.path, places, escaping)
    return msgspec.structs.replace(dropped, account=account, container=container, path=path)


def _read_datastore(uri: str, places: Places, escaping: Escaping) -> tuple[str, str, str]:
    found = datastore_path(uri)
    if found is None:
        raise UsageError(f"{uri}: expected azureml://datastores/NAME/paths/PATH")
    datastore, path = found
    if datastore not in places:
        raise Refused(f"the workspace has no datastore {datastore!r} in blob storage")
    place = places[datastore]
    return place.account, place.container, path if escaping == "literal" else unquote(path)


def _read_url(url: str, places: Places) -> tuple[str, str, str]:
    parts = urlsplit(url)
    plain = f"https://{parts.netloc}{parts.path}"  # without a SAS
    for place in places.values():  # whose address may name the account in its path
        root = blob_url(place.account_url, place.container, "")
        if plain.startswith(root):
            return place.account, place.container, unquote(plain.removeprefix(root))
    container, _, path = parts.path.removeprefix("/").partition("/")
    if not path:
        raise UsageError(f"{plain}: expected https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH")
    return (parts.hostname or "").partition(".")[0], container, unquote(path)


async def _places(app: AppSettings) -> Places:
    async with opened(app.console, app.values) as session:
        return places_of(await registered(session.arm), session.clients)


def _show(console: Console, takes: list[Take]) -> None:
    if not takes:
        console.show("there is no route")
    for one in takes:
        console.show(f"{one.route} {'takes it' if one.takes else 'does not take it'}: {one.reason}")
        if one.takes:
            console.show(*_details(one))


def _details(one: Take) -> Iterator[str]:
    rows = {
        "waits for": one.waits_for,
        "input": one.input,
        "output": f"{one.output} on {one.datastore}" if one.output else "none",
        "endpoint": f"{one.endpoint}, deployment {one.deployment or '(default)'}",
        "job": one.job,
    }
    return (f"  {name:<9}  {value}" for name, value in rows.items() if value)
