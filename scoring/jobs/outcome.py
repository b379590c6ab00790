"""How a job ends: its outcomes, and the decisions after a batch job has ended."""

import enum

import msgspec

from scoring.jobs.batch_job import BatchJob
from scoring.jobs.blobs import Blob, Forbidden, Seen, Unreadable, folder_digest
from scoring.jobs.job import Job
from scoring.jobs.progress import Progress, Save
from scoring.log import Action


class Status(enum.StrEnum):
    """How a job ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timed-out"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a job, or of an attempt that may be followed by another."""

    status: Status
    code: str = ""  # the reason; empty for a completed job
    message: str = ""
    batch_job: BatchJob | None = None  # as the endpoint last described it
    output: Blob | None = None  # what was found there; in an output folder the newest


class Finish(msgspec.Struct, frozen=True):
    """The batch job, or the job, has come to an end (edge c)."""

    outcome: Outcome


def verdict(
    outcome: Outcome, progress: Progress, output: Blob | Forbidden | Unreadable | None
) -> Outcome:
    """Return the outcome once the output was looked at: completed is not believed blindly."""
    if outcome.status is not Status.COMPLETED or isinstance(output, Forbidden | Unreadable):
        return outcome
    if output is None:
        return _without_output(outcome, "output-missing", "nothing lies at the output URI")
    if progress.submitted is not None and output.modified < progress.submitted:
        message = f"what lies at the output URI was written at {output.modified}, before the job"
        return _without_output(outcome, "output-older", message)
    return msgspec.structs.replace(outcome, output=output)


def _without_output(outcome: Outcome, code: str, message: str) -> Outcome:
    return msgspec.structs.replace(outcome, status=Status.FAILED, code=code, message=message)


def another_attempt(job: Job, progress: Progress, outcome: Outcome) -> Save | None:
    """Return the step to another attempt if the route grants one after a failed batch job."""
    failed = outcome.status is Status.FAILED and outcome.batch_job is not None
    so_far = progress.attempt - len(progress.lost_attempts)
    over = progress.cancel_asked is not None
    if not failed or over or so_far >= job.route.max_attempts:
        return None
    return Save(progress.next_attempt(lost=False), Action.TRYING_AGAIN, outcome.code)


def overwritten(job: Job, progress: Progress, seen: Seen) -> bool | None:
    """Tell whether the input is no longer what was submitted; None: not known."""
    if job.route.input == "folder":
        if isinstance(seen.files, Forbidden) or not progress.folder_digest:
            return None
        return folder_digest(seen.files) != progress.folder_digest
    submitted = progress.etag or job.landing.etag
    return seen.trigger.etag != submitted if isinstance(seen.trigger, Blob) else None
