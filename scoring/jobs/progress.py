"""How far a job is: what changes about it.

docs/design.md draws the states with the letters of their edges.
"""

import enum
from datetime import datetime, timedelta
from typing import Self

import msgspec

from scoring.jobs.job import Job
from scoring.log import Action
from scoring.timing import Aware

BY_OPERATOR = "canceled-by-operator"  # a reason why a job is canceled


class State(enum.StrEnum):
    """How far an open job is."""

    PENDING = "pending"
    """Claimed; poll submits it when it may."""
    SUBMITTING = "submitting"
    """A host is about to POST, has done so, or died."""
    SUBMITTED = "submitted"
    """The endpoint accepted the attempt; its batch job is known."""
    UNKNOWN = "unknown"
    """It is not known whether the endpoint accepted the attempt; poll looks for its batch job."""
    ENDED = "ended"
    """The end is written; its event is not published yet."""


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
    size: int | None = None  # bytes of these files, or of the file as it was seen
    etag: str = ""  # the version that was submitted, where it need not be the landing's
    correlation: str = ""  # that version's metadata for the event: a JSON object in ASCII
    landed: Aware | None = None  # the oldest landings are submitted first
    max_active: int | None = None  # of the route when it was claimed
    on_unknown: str = ""  # "hold": an attempt that is not found is never declared lost
    queue_timeout: timedelta | None = None  # as the route says
    run_timeout: timedelta | None = None  # as the route says
    receipt: bool = False  # one is left before its event is published
    refused_since: Aware | None = None  # the first of the refusals that are borne for a while
    held_since: Aware | None = None  # since when its input has kept it from its submission
    look_refused: Aware | None = None  # since when the storage has refused to show it
    not_before: Aware | None = None  # pending: when poll may try again
    gone_since: Aware | None = None  # since when the endpoint does not know the batch job
    running: Aware | None = None  # when the batch job was first seen running
    cancel_asked: Aware | None = None  # when a time budget had run out, or by an operator
    cancel_code: str = ""  # which budget, or `BY_OPERATOR`: the reason if the job ends so
    rest: dict[str, str] = {}  # what a newer version of the code wrote

    @property
    def lost_attempts(self) -> tuple[int, ...]:
        """The attempts that were declared lost."""
        return tuple(int(number) for number in self.lost.split(",") if number)

    def may_be_submitted(self, now: datetime) -> bool:
        """Tell whether the job is pending and need not wait any longer."""
        return self.state is State.PENDING and (self.not_before is None or self.not_before <= now)

    def to(self, state: State, **changes: object) -> Self:
        """Return the progress after a step; saving it adds a nonce."""
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
            held_since=None,
            look_refused=None,
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

    def updated(self, **fields: object) -> Self:
        """Return the entry with some fields of its progress replaced; nothing is written."""
        progress = msgspec.structs.replace(self.progress, **fields)
        return msgspec.structs.replace(self, progress=progress)


def first_progress(job: Job, state: State, nonce: str) -> Progress:
    """Return the progress of a job that nobody has claimed yet."""
    return Progress(
        state=state,
        nonce=nonce,
        route=job.route.name,
        endpoint=job.route.endpoint,
        landed=job.landing.landed,
        max_active=job.route.limit,
        on_unknown="hold" if job.route.on_unknown == "hold" else "",
        queue_timeout=job.route.queue_timeout,
        run_timeout=job.route.run_timeout,
        receipt=job.route.receipt,
    )


class Save(msgspec.Struct, frozen=True):
    """Write this progress, and log the action if there is one."""

    progress: Progress
    action: Action | None = None
    reason: str | None = None


class OpenJobs(msgspec.Struct, frozen=True, kw_only=True):
    """All open jobs, as one listing showed them."""

    now: Aware  # the storage's time when the listing began
    jobs: list[OpenJob]
    unreadable: list[str] = []  # keys of entries that are no progress of a job
    # The listing was cut: the key from which on jobs may be missing, counted from its start.
    missing_from: str | None = None
    whole: bool = True  # no job is missing

    def of(self, key: str) -> OpenJob | None:
        """Return the entry of a job; None: it is not among them."""
        return next((entry for entry in self.jobs if entry.key == key), None)
