"""Jobs: units of scoring that Landfall owns, and the folders that some of them score."""

import hashlib
from datetime import datetime

import msgspec

from scoring.jobs.landing import Landing
from scoring.routes.matching import Captures
from scoring.routes.patterns import literal_beginning
from scoring.routes.route import Ready, Route
from scoring.uris import ESCAPINGS, Escaping, datastore_uri, escape, has_dot_segment, safe_name

_DIGEST_LENGTH = 24  # hexadecimal digits
_HERE = "~path~"  # stands for a path where a URI is taken apart; the same in every form


class ContainerRef(msgspec.Struct, frozen=True, kw_only=True):
    """Where a datastore is."""

    account: str
    account_url: str  # of the blob service
    container: str


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that is being filled: the body of its mark in the ledger, written once."""

    schema: int = 1
    route: Route  # as it was when the first file landed
    place: ContainerRef
    path: str  # without a slash at its end

    @property
    def ready(self) -> Ready:
        """When the folder is complete."""
        return self.route.ready or Ready()

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells the folder of this route from all others."""
        return self.route.name, self.place.account, self.place.container, self.path

    @property
    def key(self) -> str:
        """The folder's key, as the ledger names it."""
        return digest(*self.identity)

    def job_key(self, version: str) -> str:
        """Return the key of the folder's job; where late files are ignored it has one."""
        return digest(*self.identity, version) if self.route.late == "score" else self.key


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes about a job: the body of its ledger entry, written once."""

    schema: int = 1
    key: str  # derived from route, input and version: the same landing gives the same key
    route: Route  # as it was when the job was claimed
    landing: Landing  # for a folder by marker: the marker's; by quiet: see `job_of_folder`
    place: ContainerRef  # where the route's datastore was
    path: str  # what is scored: the file, or the folder without a slash at its end
    input_uri: str
    output_base: str  # path on the datastore, with `{key}` still in it; empty: no output
    late: bool = False  # a folder's later version, which its route does not score
    again_of: str = ""  # key of the job whose input an operator has scored again

    @property
    def folder(self) -> Folder:
        """The folder of a job that scores one."""
        return Folder(route=self.route, place=self.place, path=self.path)

    def output_path(self, attempt: int) -> str:
        """Return the path on the datastore that no other attempt is given; empty: no output."""
        key = self.key if attempt == 1 else f"{self.key}-{attempt}"
        return self.output_base.replace("{key}", key)

    def receipt_path(self, attempt: int) -> str:
        """Return the path of the receipt, beside the output of the job's last attempt."""
        return f"{self.output_path(attempt)}.receipt.json"

    def output_uri(self, attempt: int) -> str:
        """Return the URI of that path; its characters are the same in every form."""
        if self.route.output_kind == "none":
            return ""
        return datastore_uri(self.route.datastore, self.output_path(attempt), "literal")


def folder_of(route: Route, path: str, place: ContainerRef) -> Folder:
    """Return the folder that a landed file of a route whose folders become quiet fills."""
    return Folder(route=route, place=place, path=path.rpartition("/")[0])


def job_for(route: Route, landing: Landing, place: ContainerRef, escaping: Escaping) -> Job:
    """Return the job that a route makes of the landing of a file, or of a folder's marker."""
    captures = route.triggered_by(landing.path) or {}
    path = landing.path if route.input == "file" else route.folder_path(captures)
    version = [landing.etag] if route.on_overwrite == "score" else []
    return Job(
        key=digest(route.name, landing.account, landing.container, path, *version),
        route=route,
        landing=landing,
        place=place,
        path=path,
        input_uri=input_uri_of(route, landing.container, path, escaping),
        output_base=_output_base(route, path, captures, landing.landed),
    )


def job_of_folder(folder: Folder, landing: Landing, escaping: Escaping, *, late: bool) -> Job:
    """Return the job of a folder that was quiet.

    Its `landing` has the folder's path, a digest over its files as version, and when the newest
    of them landed. What is `late` has a job of its own, which is rejected.
    """
    route, path = folder.route, folder.path
    return Job(
        key=digest(*folder.identity, landing.etag) if late else folder.job_key(landing.etag),
        route=route,
        landing=landing,
        place=folder.place,
        path=path,
        input_uri=input_uri_of(route, landing.container, path, escaping),
        output_base=_output_base(route, path, route.folder_captures(path), landing.landed),
        late=late,
    )


def again(job: Job, request: str) -> Job:
    """Return the job that scores the input of a job once more; the same request makes the same."""
    return msgspec.structs.replace(job, key=digest(job.key, "again", request), again_of=job.key)


def attempt_tag(key: str, attempt: int) -> str:
    """Return what marks the batch job of an attempt among those of its endpoint."""
    return f"landfall-{key}-{attempt}"


def input_uri_of(route: Route, container: str, path: str, escaping: Escaping) -> str:
    """Return the URI by which the endpoint is given what lies at a path."""
    if route.uri.startswith("azureml:"):
        path = escape(path, escaping)
    else:
        path = escape(path, "percent-encoded")
    return route.uri.format(datastore=route.datastore, container=container, path=path)


def misplaced(job: Job) -> str | None:
    """Return what of a job lies elsewhere than its route says; None: nothing does.

    This is the last look at what was made of names that others choose, whatever made it.
    """
    route, landing, place = job.route, job.landing, job.place
    if (landing.account, landing.container) != (place.account, place.container):
        return "container"
    begins = literal_beginning(route.match if route.input == "file" else route.folder)
    if not _lies_below(begins, job.path):
        return "path"
    uri = input_uri_of(route, place.container, _HERE, "literal").partition(_HERE)[0]
    if not any(_lies_below(uri + escape(begins, form), job.input_uri) for form in ESCAPINGS):
        return "input URI"
    output = job.output_path(1)
    if not _lies_below(literal_beginning(route.output), output):
        return "output"
    is_input = route.holds(output) or route.triggered_by(output) is not None
    return "output, which is an input," if is_input else None


def _lies_below(begins: str, path: str) -> bool:
    return path.startswith(begins) and not has_dot_segment(path)


def _output_base(route: Route, path: str, captures: Captures, landed: datetime) -> str:
    name = path.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name if route.input == "file" else name
    names = {**captures, "stem": stem, "route": route.name, "date": f"{landed:%Y-%m-%d}"}
    safe = {field: safe_name(value) for field, value in names.items()}
    return route.output.format(**safe, key="{key}")


def digest(*parts: str) -> str:
    """Return 96 bits that identify these parts, as hexadecimal digits."""
    text = "\n".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
