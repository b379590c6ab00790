"""What is said to batch endpoints, and what they say."""

import enum
from collections.abc import Sequence

import msgspec

from scoring.jobs.job import Job, attempt_tag
from scoring.routes.route import JobSettings, Kind, OutputKind, Param
from scoring.uris import same_datastore_path


class BatchEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the workspace says of a batch endpoint."""

    scoring_uri: str
    default_deployment: str | None


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as it is sent to the endpoint."""

    tag: str  # marks the batch job: see `job.attempt_tag`
    deployment: str | None
    kind: Kind
    input_uri: str
    output_uri: str  # empty without an output
    output_kind: OutputKind = "file"
    # What a pipeline calls them; a model takes one of each under any name.
    input_name: str = "input"
    output_name: str = "output"
    params: dict[str, Param] = {}
    settings: JobSettings = JobSettings()


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoint took the attempt."""

    batch_job: str


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer other than success; `decisions.DEFINITE` says which mean that nothing was created."""

    status: int
    message: str
    retry_after: float = 0.0  # seconds


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """The connection was never made: for certain nothing was created."""

    message: str


class Unclear(msgspec.Struct, frozen=True, kw_only=True):
    """No answer, half an answer, or a success without a usable name."""

    message: str


Answer = Accepted | ErrorAnswer | NotSent | Unclear


class JobState(enum.Enum):
    """Azure ML's states of a batch job, as far as they make a difference."""

    COMPLETED = enum.auto()
    FAILED = enum.auto()
    CANCELED = enum.auto()
    RUNNING = enum.auto()
    CANCELING = enum.auto()  # its cancel was asked for, and it has not ended yet
    OPEN = enum.auto()  # any other

    @property
    def ended(self) -> bool:
        """Whether the batch job is in this state for good."""
        return self in (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)


class BatchJob(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint says of a batch job."""

    name: str
    state: JobState
    studio: str | None = None  # link for people
    message: str = ""  # why it failed, where Azure ML says so
    outputs: tuple[str, ...] = ()  # URIs
    marks: tuple[str, ...] = ()  # tags and description


def of_attempt(listed: Sequence[BatchJob], job: Job, attempt: int) -> tuple[BatchJob, ...]:
    """Return the batch jobs of an attempt among its endpoint's: by output, tag or description."""
    tag, uri = attempt_tag(job.key, attempt), job.output_uri(attempt)
    return tuple(
        one
        for one in listed
        if tag in one.marks or any(same_datastore_path(output, uri) for output in one.outputs)
    )
