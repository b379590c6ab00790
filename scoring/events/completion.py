"""Completion events: CloudEvents 1.0 that say how a job ended.

docs/events.md is the contract with subscribers, docs/completion-event.schema.json its schema.
"""

from datetime import datetime

import msgspec

from scoring.events.cloud_event import CloudEvent, Reason
from scoring.jobs.job import Job
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import Progress
from scoring.log import redacted
from scoring.routes.route import Kind
from scoring.timing import Aware
from scoring.uris import blob_url, subject

DATA_SCHEMA = "urn:landfall:completion-event:1"
TYPES = {
    Status.COMPLETED: "Landfall.JobCompleted",
    Status.FAILED: "Landfall.JobFailed",
    Status.CANCELED: "Landfall.JobCanceled",
    Status.TIMED_OUT: "Landfall.JobTimedOut",
    Status.REJECTED: "Landfall.LandingRejected",
    Status.SUPERSEDED: "Landfall.LandingSuperseded",
}

_LONGEST_MESSAGE = 2_000  # characters


class Input(msgspec.Struct, kw_only=True, rename="camel"):
    """What was scored, or was to be."""

    kind: Kind
    uri: str
    blob_url: str
    etag: str
    size: int | None  # bytes; of all files of a folder, where known
    files: int | None  # of a folder, where known
    overwritten: bool | None  # while the job ran; None: not known


class Output(msgspec.Struct, kw_only=True, rename="camel"):
    """Where the result was asked for, and what was found there."""

    uri: str
    blob_url: str
    size: int | None  # bytes; of a file
    etag: str | None  # of a file
    verified: bool


class Times(msgspec.Struct, kw_only=True):
    """When, by the storage service's clock."""

    landed: Aware
    submitted: Aware | None
    ended: Aware


class Data(msgspec.Struct, kw_only=True, rename="camel"):
    """The `data` of a completion event."""

    job: str
    route: str
    status: Status
    reason: Reason | None
    input: Input
    output: Output | None
    correlation: dict[str, str]  # metadata of the landed blob
    endpoint: str
    deployment: str | None
    batch_job: str | None
    studio: str | None
    attempt: int
    times: Times


class CompletionEvent(CloudEvent, kw_only=True):
    """The event of a job's end."""

    landfallversion: str  # of the code that wrote the end down, whichever publishes it
    data: Data


def completion_event(
    *,
    job: Job,
    progress: Progress,
    outcome: Outcome,
    overwritten: bool | None,
    ended: datetime,
    source: str,
    version: str,
) -> bytes:
    """Return the event of a job's end as the bytes that every copy consists of.

    A job ends once, so its key is the event's id.
    """
    folder = job.route.input == "folder"
    return msgspec.json.encode(
        CompletionEvent(
            id=job.key,
            source=source,
            type=TYPES[outcome.status],
            subject=subject(job.landing.container, f"{job.path}/" if folder else job.path),
            time=ended,
            dataschema=DATA_SCHEMA,
            landfallversion=version,
            data=Data(
                job=job.key,
                route=job.route.name,
                status=outcome.status,
                reason=_reason(outcome),
                input=_input(job, progress, overwritten),
                output=_output(job, progress, outcome),
                correlation=msgspec.json.decode(progress.correlation or "{}"),
                endpoint=job.route.endpoint,
                deployment=progress.deployment or job.route.deployment,
                batch_job=progress.batch_job or None,
                studio=outcome.batch_job.studio if outcome.batch_job else None,
                attempt=progress.attempt,
                times=Times(landed=job.landing.landed, submitted=progress.submitted, ended=ended),
            ),
        )
    )


def summary(event: bytes) -> dict[str, str]:
    """Return the fields of an event that a log line about it names."""
    known = msgspec.json.decode(event, type=_Summary)
    return {"job": known.id, "type": known.type, "subject": known.subject}


def version_in(event: bytes) -> str:
    """Return the version of the input that an event is about."""
    etag: str = msgspec.json.decode(event)["data"]["input"]["etag"]
    return etag


def is_superseded(event: bytes) -> bool:
    """Tell whether the job that an event is about gave way to another one."""
    status: str = msgspec.json.decode(event)["data"]["status"]
    return status == Status.SUPERSEDED


def receipt(event: bytes) -> tuple[int, bytes]:
    """Return the attempt beside whose output an event's receipt lies, and the receipt's content.

    Both depend on the event alone, so every copy is the same.
    """
    data = msgspec.json.decode(event)["data"]
    return data["attempt"], msgspec.json.format(msgspec.json.encode(data), indent=2)


class _Summary(msgspec.Struct):
    id: str
    type: str
    subject: str


def _reason(outcome: Outcome) -> Reason | None:
    if not outcome.code:
        return None
    return Reason(code=outcome.code, message=redacted(outcome.message)[:_LONGEST_MESSAGE])


def _input(job: Job, progress: Progress, overwritten: bool | None) -> Input:
    folder = job.route.input == "folder"
    looked_at = folder or progress.size is not None
    return Input(
        kind=job.route.input,
        uri=job.input_uri,
        blob_url=blob_url(job.place.account_url, job.place.container, job.path + "/" * folder),
        etag=progress.etag or job.landing.etag,
        size=progress.size if looked_at else job.landing.size,
        files=progress.files,
        overwritten=overwritten,
    )


def _output(job: Job, progress: Progress, outcome: Outcome) -> Output | None:
    # A result may be there although its batch job was never known.
    known = progress.batch_job or outcome.output is not None
    if not known or job.route.output_kind == "none":
        return None
    folder = job.route.output_kind == "folder"
    path, found = job.output_path(progress.attempt) + "/" * folder, outcome.output
    return Output(
        uri=job.output_uri(progress.attempt),
        blob_url=blob_url(job.place.account_url, job.place.container, path),
        size=found.size if found and not folder else None,
        etag=found.etag if found and not folder else None,
        verified=found is not None,
    )
