"""The command `route`."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
from cyclopts import Parameter

from scoring.cli.console import Console
from scoring.cli.datastores import places_of, registered
from scoring.cli.failures import Exit, Refused, UsageError
from scoring.cli.landfall.route.matching import DroppedFile, Verdict, left_out, verdict
from scoring.cli.session import DEFAULTS, AppSettings, Needs, Options, open_session
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
    """Show which routes match a path, with the job's input and output; and why the others do not.

    For a path in a container no network is needed. The workspace is asked for its datastores if the
    path is a URL or an azureml:// URI, or with --etag or --container.

    Args:
        path: Path of the file in its container; or its https:// URL, or its azureml:// URI.
        etag: ETag of the file. With it the job's key and output are the real ones.
        container: Container of the file; routes of other containers do not match.
    """
    escaping = read_escaping(app.values)
    good, mistakes = read_routes_file(app.routes_file, app.values)
    file = DroppedFile(path=path, landed=datetime.now(UTC), container=container)
    if etag is not None:
        file = msgspec.structs.replace(file, etag=normal_etag(etag))
    places = None
    if etag is not None or container is not None or "://" in path:
        places = await _places(app)
        good, mistakes = good_routes(good, mistakes, places)
        file = located(file, places, escaping)
    verdicts = verdicts_of(good, mistakes, file, places, escaping)
    _show(app.console, verdicts)
    app.console.result(path=file.path, routes=[msgspec.to_builtins(one) for one in verdicts])
    return Exit.DONE if any(one.matches for one in verdicts) else Exit.REFUSED


def verdicts_of(
    good: list[Route],
    mistakes: list[Mistake],
    file: DroppedFile,
    places: Places | None,
    escaping: Escaping,
) -> list[Verdict]:
    """Return the verdict of each route on a file; those that match come first."""
    named = {route.name for route in good}
    verdicts = [verdict(route, file, places, escaping) for route in good]
    # A route that is good and has a mistake lacks its datastore, which its verdict says.
    verdicts += [left_out(mistake) for mistake in mistakes if mistake.route not in named]
    return sorted(verdicts, key=lambda one: not one.matches)


def located(file: DroppedFile, places: Places, escaping: Escaping) -> DroppedFile:
    """Return a file by container and path, where its path may be a URL or an azureml:// URI.

    Raises:
        UsageError: it is no URI of a blob, or `container` is given as well.
        Refused: the workspace has no such datastore.
    """
    if "://" not in file.path:
        return file
    if file.container is not None:
        raise UsageError("a URI names its container: leave --container out")
    if file.path.startswith("https://"):
        account, container, path = _read_url(file.path, places)
    else:
        account, container, path = _read_datastore(file.path, places, escaping)
    return msgspec.structs.replace(file, account=account, container=container, path=path)


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
    for place in places.values():  # an account may have an address of its own, with a path
        root = blob_url(place.account_url, place.container, "")
        if plain.startswith(root):
            return place.account, place.container, unquote(plain.removeprefix(root))
    container, _, path = parts.path.removeprefix("/").partition("/")
    if not path:
        raise UsageError(f"{plain}: expected https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH")
    return (parts.hostname or "").partition(".")[0], container, unquote(path)


async def _places(app: AppSettings) -> Places:
    async with open_session(app.console, app.values) as session:
        return places_of(await registered(session.arm), session.clients)


def _show(console: Console, verdicts: list[Verdict]) -> None:
    if not verdicts:
        console.show("there is no route")
    for one in verdicts:
        console.show(f"{one.route}: {'yes' if one.matches else 'no'}, {one.reason}")
        if one.matches:
            console.show(*_details(one))


def _details(one: Verdict) -> Iterator[str]:
    rows = {
        "waits for": one.waits_for,
        "input": one.input,
        "output": f"{one.output} on {one.datastore}" if one.output else "none",
        "endpoint": f"{one.endpoint}, deployment {one.deployment or '(default)'}",
        "job": one.job,
    }
    return (f"  {name:<9}  {value}" for name, value in rows.items() if value)
