"""Whether a route matches a path, and the job that it makes: by the product's own functions."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from scoring.jobs.job import (
    ContainerRef,
    Job,
    folder_of,
    folder_path,
    input_uri_of,
    job_for,
    job_of_folder,
)
from scoring.jobs.landing import Landing
from scoring.routes.patterns import Captures, pattern, why_not
from scoring.routes.route import Route
from scoring.routes.rules import Mistake
from scoring.uris import Escaping

Kind = Literal["file", "marker", "file-of-folder"]

_UNKNOWN = ContainerRef(account="", account_url="", container="{container}")


class DroppedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lands, as far as it is known."""

    path: str
    landed: datetime
    account: str | None = None  # None: that of the route
    container: str | None = None
    etag: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one route matches a file, and with which job."""

    route: str
    matches: bool = msgspec.field(name="takes")  # `takes` in the JSON output
    reason: str  # why it does, or does not
    kind: Kind | None = None  # what the file is for the route
    waits_for: str | None = None  # what has to happen before the job is submitted
    input: str | None = None  # URI
    datastore: str | None = None
    output: str | None = None  # path on the datastore, with `{key}` if the key is not known
    job: str | None = None  # its key
    endpoint: str | None = None
    deployment: str | None = None  # None: the endpoint's default


def left_out(mistake: Mistake) -> Verdict:
    """Return the verdict of a route that has a mistake."""
    reason = f"the route is left out: {mistake.field}: {mistake.problem}"
    return Verdict(route=mistake.route, matches=False, reason=reason)


def verdict(
    route: Route, file: DroppedFile, places: Mapping[str, ContainerRef] | None, escaping: Escaping
) -> Verdict:
    """Return whether a route matches a file.

    `places` are the containers of the datastores; None if the workspace was not asked.
    """
    place = None if places is None else places.get(route.datastore)
    elsewhere = _elsewhere(route, file, place, asked=places is not None)
    if elsewhere:
        return Verdict(route=route.name, matches=False, reason=elsewhere)
    if route.triggered_by(file.path) is not None:
        return (_gathered if route.gathers else _triggered)(route, file, place, escaping)
    if route.holds(file.path):
        return _waits_for_marker(route, file, place, escaping)
    return Verdict(route=route.name, matches=False, reason=_no_match(route, file.path))


def _elsewhere(
    route: Route, file: DroppedFile, place: ContainerRef | None, *, asked: bool
) -> str | None:
    if not asked:
        return None
    if place is None:
        return f"the workspace has no datastore {route.datastore!r} in blob storage"
    account, container = file.account or place.account, file.container or place.container
    if (account, container) == (place.account, place.container):
        return None
    return (
        f"its datastore {route.datastore!r} is container {place.container!r}"
        f" of account {place.account!r}"
    )


def _no_match(route: Route, path: str) -> str:
    reason = f"match {route.match!r}: {why_not(route.match, path)}"
    if route.trigger != route.match:
        reason += f"; ready.marker {route.trigger!r}: {why_not(route.trigger, path)}"
    return reason


def _triggered(
    route: Route, file: DroppedFile, place: ContainerRef | None, escaping: Escaping
) -> Verdict:
    job = job_for(route, _landing(file, place), place or _UNKNOWN, escaping)
    known = place is not None and (file.etag is not None or route.on_overwrite == "ignore")
    if route.input == "file":
        return _of_job(route, job, "file", f"matches {route.match!r}", known=known)
    reason = f"is the marker {route.trigger!r} of folder {job.path!r}"
    return _of_job(route, job, "marker", reason, known=known)


def _gathered(
    route: Route, file: DroppedFile, place: ContainerRef | None, escaping: Escaping
) -> Verdict:
    folder = folder_of(route, file.path, place or _UNKNOWN)
    landing = _landing(
        file, place, path=folder.path, etag=""
    )  # the folder's version is made of its files'
    job = job_of_folder(folder, landing, escaping, late=False)
    waits = (
        f"nothing to land in it for {_in_words(folder.ready.quiet)}, or"
        f" {_in_words(folder.ready.at_most)} to pass since the first file"
    )
    known = place is not None and route.late == "ignore"
    reason = f"is a file of folder {folder.path!r}"
    return _of_job(route, job, "file-of-folder", reason, known=known, waits=waits)


def _waits_for_marker(
    route: Route, file: DroppedFile, place: ContainerRef | None, escaping: Escaping
) -> Verdict:
    found = pattern(route.match).fullmatch(file.path)
    captures: Captures = found.groupdict() if found else {}
    folder = folder_path(route, captures)
    marker = re.sub(r"\{(\w+)\}", lambda name: captures.get(name[1], name[0]), route.trigger)
    output = route.output
    if not re.search(r"[*?{]", marker) and route.triggered_by(marker) is not None:
        landing = _landing(file, place, path=marker)
        output = job_for(route, landing, place or _UNKNOWN, escaping).output_base
    return _match(
        route,
        "file-of-folder",
        f"is a file of folder {folder!r}",
        input_uri=input_uri_of(route, (place or _UNKNOWN).container, folder, escaping),
        output=output,
        waits=f"the marker {marker!r} to land",
    )


def _of_job(
    route: Route, job: Job, kind: Kind, reason: str, *, known: bool, waits: str | None = None
) -> Verdict:
    """Return the verdict with a job; `known`: its key is the real one."""
    return _match(
        route,
        kind,
        reason,
        input_uri=job.input_uri,
        output=job.output_path(1) if known else job.output_base,
        job_key=job.key if known else None,
        waits=waits,
    )


def _match(
    route: Route,
    kind: Kind,
    reason: str,
    *,
    input_uri: str,
    output: str,
    job_key: str | None = None,
    waits: str | None = None,
) -> Verdict:
    waits_for = [waits, None if route.enabled else "the route to be enabled"]
    return Verdict(
        route=route.name,
        matches=True,
        reason=reason,
        kind=kind,
        waits_for=", and for ".join(filter(None, waits_for)) or None,
        input=input_uri,
        datastore=route.datastore,
        output=output or None,
        job=job_key,
        endpoint=route.endpoint,
        deployment=route.deployment,
    )


def _landing(file: DroppedFile, place: ContainerRef | None, **fields: str) -> Landing:
    at = place or _UNKNOWN
    known = {"path": file.path, "etag": file.etag or "", **fields}
    return Landing(account=at.account, container=at.container, size=0, landed=file.landed, **known)


def _in_words(duration: timedelta) -> str:
    for unit, letter in ((timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if not duration % unit:
            return f"{duration // unit} {letter}"
    return f"{duration // timedelta(seconds=1)} s"
