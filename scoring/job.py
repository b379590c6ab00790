"""Jobs: units of scoring that Landfall owns, and how far each one is.

docs/design.md draws the states with the letters of their edges.
"""

import enum
import hashlib
import re
from datetime import datetime, timedelta
from typing import Self

import msgspec

from scoring.landing import Aware, Landing
from scoring.route import Captures, Ready, Route
from scoring.uris import Escaping, datastore_uri, escape, safe_name

_DIGEST_LENGTH = 24  # hexadecimal digits


class State(enum.StrEnum):
    """How far an open job is."""

    PENDING = "pending"
    """Claimed; poll submits it when it may."""
    SUBMITTING = "submitting"
    """Somebody is about to POST, or has, or died."""
    SUBMITTED = "submitted"
    """The endpoint accepted the attempt; its batch job is known."""
    UNKNOWN = "unknown"
    """Nobody knows whether the endpoint took the attempt; poll looks for its batch job."""
    ENDED = "ended"
    """The end is written; its event is not published yet."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a datastore is."""

    account: str
    account_url: str  # of the blob service
    container: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What never changes about a job: the body of its ledger entry, written once."""

    schema: int = 1
    key: str  # derived from route, input and version: the same landing gives the same key
    route: Route  # as it was when the job was claimed
    landing: Landing  # for a folder by marker: the marker's; by quiet: see `job_of_folder`
    place: Place  # where the route's datastore was
    path: str  # what is scored: the file, or the folder without a slash at its end
    input_uri: str
    output_base: str  # path on the datastore, with `{key}` still in it; empty: no output
    late: bool = False  # a folder's later version, which its route does not score

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


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What changes about a job: the metadata of its ledger entry, replaced as a whole.

    Since when a job is in its state is the entry's own Last-Modified.
    """

    schema: int = 1
    state: State
    nonce: str  # random for each write: whose write it was, when an answer is lost
    route: str
    endpoint: str
    attempt: int = 1
    lost: str = ""  # attempts whose outcome nobody will know, e.g. "1,2"
    submitted: Aware | None = None  # the storage's time just before the POST
    batch_job: str = ""  # Azure ML's name for what runs
    deployment: str = ""  # the one that took the attempt
    folder_digest: str = ""  # over paths and ETags of a folder's files when it was submitted
    files: int | None = None  # a folder's, when it was submitted
    size: int | None = None  # bytes of these files, or of the file whose version is `etag`
    etag: str = ""  # the version that was submitted, where it need not be the landing's
    correlation: str = ""  # that version's metadata for the event: a JSON object in ASCII
    landed: Aware | None = None  # the oldest landings are submitted first
    max_active: int | None = None  # of the route when it was claimed
    on_unknown: str = ""  # "hold": an attempt that is not found is never declared lost
    queue_timeout: timedelta | None = None  # as the route says
    run_timeout: timedelta | None = None  # as the route says
    receipt: bool = False  # one is left before its event is published
    refused_since: Aware | None = None  # the first of the refusals that are borne for a while
    not_before: Aware | None = None  # pending: when poll may try again
    gone_since: Aware | None = None  # since when the endpoint does not know the batch job
    running: Aware | None = None  # when the batch job was first seen running
    cancel_asked: Aware | None = None  # when a time budget had run out
    cancel_code: str = ""  # which one: the reason if the job ends so
    rest: dict[str, str] = {}  # what a newer version of the code wrote

    @property
    def lost_attempts(self) -> tuple[int, ...]:
        """The attempts that were declared lost."""
        return tuple(int(number) for number in self.lost.split(",") if number)

    def may_be_submitted(self, now: datetime) -> bool:
        """Tell whether the job is pending and need not wait any longer."""
        return self.state is State.PENDING and (self.not_before is None or self.not_before <= now)

    def to(self, state: State, **changes: object) -> Self:
        """Return the progress after a step; whoever saves it gives it a nonce."""
        return msgspec.structs.replace(self, state=state, **changes)

    def next_attempt(self, *, lost: bool) -> Self:
        """Return the progress of a job that is tried again with an output of its own."""
        given_up = ",".join(filter(None, [self.lost, str(self.attempt)])) if lost else self.lost
        return self.to(
            State.PENDING,
            attempt=self.attempt + 1,
            lost=given_up,
            submitted=None,
            batch_job="",
            gone_since=None,
            running=None,
            cancel_asked=None,
            cancel_code="",
            refused_since=None,
            not_before=None,
        )

    def metadata(self) -> dict[str, str]:
        """Return this as blob metadata: names that are identifiers, values in ASCII."""
        fields = msgspec.to_builtins(self)
        rest: dict[str, str] = fields.pop("rest")
        return rest | {
            name: str(value)
            for name, value in fields.items()
            if value not in (None, "") and value is not False
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str]) -> Self:
        """Read what `metadata` wrote, here or in another version of the code.

        Raises:
            msgspec.ValidationError: it is no progress of a job.
        """
        names = set(cls.__struct_fields__) - {"rest"}
        known = {name: value for name, value in metadata.items() if name in names}
        rest = {name: value for name, value in metadata.items() if name not in names}
        return msgspec.convert({**known, "rest": rest}, cls, strict=False)


class OpenJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job's entry in the ledger as it stands."""

    key: str
    progress: Progress
    version: str  # the entry's ETag, which the next change must name
    changed: Aware  # the entry's Last-Modified: since when it stands so


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that is being filled: the body of its mark in the ledger, written once."""

    schema: int = 1
    route: Route  # as it was when the first file landed
    place: Place
    path: str  # without a slash at its end

    @property
    def ready(self) -> Ready:
        """When the folder is complete."""
        return self.route.ready or Ready()

    @property
    def key(self) -> str:
        """What identifies the folder of this route."""
        return digest(self.route.name, self.place.account, self.place.container, self.path)


def folder_of(route: Route, path: str, place: Place) -> Folder:
    """Return the folder that a landed file, or marker, of a route belongs to."""
    captures = route.triggered_by(path) or {}
    return Folder(route=route, place=place, path=_folder_path(route, captures))


def job_for(
    route: Route, landing: Landing, captures: Captures, place: Place, escaping: Escaping
) -> Job:
    """Return the job that a route makes of a landing."""
    path = landing.path if route.input == "file" else _folder_path(route, captures)
    version = [landing.etag] if route.on_overwrite == "score" else []
    return _job(
        route, landing, path, captures=captures, place=place, escaping=escaping, version=version
    )


def job_of_folder(
    folder: Folder, landing: Landing, escaping: Escaping, *, late: bool = False
) -> Job:
    """Return the job of a folder that was quiet.

    Its `landing` has the folder's path, a digest over its files as version, and when the newest
    of them landed. Where late files are ignored a folder has one job, whatever its version, and
    `late` ones that say so.
    """
    route, path = folder.route, folder.path
    captures = route.folder_captures(path)
    version = [landing.etag] if late or route.late == "score" else []
    made = _job(
        route,
        landing,
        path,
        captures=captures,
        place=folder.place,
        escaping=escaping,
        version=version,
    )
    return msgspec.structs.replace(made, late=late)


def _job(
    route: Route,
    landing: Landing,
    path: str,
    *,
    captures: Captures,
    place: Place,
    escaping: Escaping,
    version: list[str],
) -> Job:
    key = digest(route.name, landing.account, landing.container, path, *version)
    return Job(
        key=key,
        route=route,
        landing=landing,
        place=place,
        path=path,
        input_uri=_input_uri(route, landing, path, escaping),
        output_base=_output_base(route, path, captures, landing.landed),
    )


def first_progress(job: Job, state: State, nonce: str) -> Progress:
    """Return the progress of a job that nobody has claimed yet."""
    held = job.route.on_unknown == "hold"
    return Progress(
        state=state,
        nonce=nonce,
        route=job.route.name,
        endpoint=job.route.endpoint,
        landed=job.landing.landed,
        max_active=job.route.limit,
        on_unknown="hold" if held else "",
        queue_timeout=job.route.queue_timeout,
        run_timeout=job.route.run_timeout,
        receipt=job.route.receipt,
    )


def attempt_tag(key: str, attempt: int) -> str:
    """Return what marks the batch job of an attempt among those of its endpoint."""
    return f"landfall-{key}-{attempt}"


def _folder_path(route: Route, captures: Captures) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: captures[name[1]], route.folder)


def _input_uri(route: Route, landing: Landing, path: str, escaping: Escaping) -> str:
    if route.uri.startswith("azureml:"):
        path = escape(path, escaping)
    else:
        path = escape(path, "percent-encoded")
    return route.uri.format(datastore=route.datastore, container=landing.container, path=path)


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
