"""What becomes of a job around its POST and its end: pure functions, as `next_step` is poll's.

`before_submission` and `verdict` look at the blobs before and after a batch job, `after_answer` is
what follows a POST. The letters are those of docs/design.md.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scoring.batch_jobs import Accepted, Answer, Answered, BatchJob, NotSent
from scoring.blobs import Blob, Forbidden
from scoring.job import Job, attempt_tag, digest
from scoring.landing import Landing
from scoring.log import Action
from scoring.progress import OpenJob, Progress, State
from scoring.timing import Timing
from scoring.uris import same_datastore_path


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


class Save(msgspec.Struct, frozen=True):
    """Write this progress, and log the action if there is one."""

    progress: Progress
    action: Action | None = None
    reason: str | None = None


class Finish(msgspec.Struct, frozen=True):
    """The batch job, or the job, has come to an end (edge c)."""

    outcome: Outcome


# --- around a POST ------------------------------------------------------------------------------

_BORNE_FOR_A_WHILE = frozenset({401, 403, 404})
_THROTTLED = 429
DEFINITE = frozenset({400, 413, 422, _THROTTLED}) | _BORNE_FOR_A_WHILE
"""Statuses that say for certain that nothing was created. Every other one is unclear."""


class Newer(msgspec.Struct, frozen=True):
    """The landed blob was overwritten before its turn; this stands there now."""

    landing: Landing


class Copying(msgspec.Struct, frozen=True):
    """What landed is still being copied there: nobody tells when that is done."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What lies where a job's input should be, just before its submission."""

    trigger: Blob | Forbidden | None = None  # the landed blob; for a folder its marker, if any
    files: Sequence[Blob] | Forbidden = ()  # a folder's

    @property
    def blobs(self) -> list[Blob]:
        """All that could be looked at."""
        files = () if isinstance(self.files, Forbidden) else self.files
        return [one for one in (self.trigger, *files) if isinstance(one, Blob)]


def before_submission(job: Job, seen: Seen) -> Outcome | Newer | Copying | None:
    """Return why a job is not submitted, or None if it is.

    Where the app may not look, the endpoint has the last word.
    """
    if job.late:
        return _late()
    if any(blob.copying for blob in seen.blobs):
        return Copying()
    if job.route.gathers:
        return _empty_folder(job, seen.files)
    return _about_what_landed(job, seen)


def _about_what_landed(job: Job, seen: Seen) -> Outcome | Newer | None:
    blob = seen.trigger
    if isinstance(blob, Forbidden):
        return None
    if blob is None:
        return _rejected("deleted", "it was deleted before its turn")
    if blob.etag != job.landing.etag and job.route.on_overwrite == "score":
        return Newer(
            msgspec.structs.replace(
                job.landing, etag=blob.etag, size=blob.size, landed=blob.modified
            )
        )
    if job.route.input == "folder":
        return _empty_folder(job, seen.files)
    return _unfit(job, blob)


def _empty_folder(job: Job, files: Sequence[Blob] | Forbidden) -> Outcome | None:
    if isinstance(files, Forbidden) or any(file.path != job.landing.path for file in files):
        return None
    return _rejected("folder-empty", "no file (but a marker) lies directly in it")


def _late() -> Outcome:
    message = "the folder changed after its submission, and its route scores it once"
    return _rejected("late", message)


def _unfit(job: Job, blob: Blob) -> Outcome | None:
    if not blob.block:
        return _rejected("not-a-block-blob", "page and append blobs cannot be scored")
    if blob.archived:
        return _rejected("archived", "it lies in the archive tier and cannot be read")
    if blob.size == 0 and job.route.on_empty == "reject":
        return _rejected("empty", "it has no content")
    return None


def _rejected(code: str, message: str) -> Outcome:
    return Outcome(status=Status.REJECTED, code=code, message=message)


def after_answer(opened: OpenJob, answer: Answer, now: datetime, timing: Timing) -> Save | Finish:
    """Return what follows the answer to a POST of the attempt that `opened` describes."""
    progress = opened.progress
    if isinstance(answer, Accepted):
        # What was written before this time is not the attempt's output.
        accepted = progress.to(
            State.SUBMITTED,
            batch_job=answer.batch_job,
            submitted=opened.changed,
            refused_since=None,
            not_before=None,
        )
        return Save(accepted, Action.SUBMITTED)
    if isinstance(answer, Answered) and answer.status in DEFINITE:
        return _refused(progress, answer, now, timing)
    if isinstance(answer, NotSent):
        return Save(progress.to(State.PENDING), Action.HELD, answer.message)
    reason = _said(answer) if isinstance(answer, Answered) else answer.message
    unknown = progress.to(State.UNKNOWN, submitted=opened.changed)
    return Save(unknown, Action.UNCLEAR, reason)


def _said(answer: Answered) -> str:
    return f"{answer.status}: {answer.message or '(no message)'}"


def _refused(progress: Progress, answer: Answered, now: datetime, timing: Timing) -> Save | Finish:
    reason = _said(answer)
    if answer.status == _THROTTLED:
        longest = timing.refusal_patience.total_seconds()
        wait = max(timedelta(seconds=min(answer.retry_after, longest)), timing.tick)
        return Save(progress.to(State.PENDING, not_before=now + wait), Action.HELD, reason)
    since = progress.refused_since or now
    if answer.status in _BORNE_FOR_A_WHILE and now - since < timing.refusal_patience:
        wait = min(max(now - since, timing.ask_at_most), timing.retry_at_most)
        held = progress.to(State.PENDING, refused_since=since, not_before=now + wait)
        return Save(held, Action.HELD, reason)
    return Finish(Outcome(status=Status.FAILED, code="refused", message=reason))


# --- after a batch job --------------------------------------------------------------------------


def verdict(outcome: Outcome, progress: Progress, output: Blob | Forbidden | None) -> Outcome:
    """Return the outcome once the output was looked at: completed is not believed blindly."""
    if outcome.status is not Status.COMPLETED or isinstance(output, Forbidden):
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


def of_attempt(listed: Sequence[BatchJob], job: Job, attempt: int) -> tuple[BatchJob, ...]:
    """Return the batch jobs of an attempt among its endpoint's: by output, tag or description."""
    tag, uri = attempt_tag(job.key, attempt), job.output_uri(attempt)
    return tuple(
        one
        for one in listed
        if tag in one.marks or any(same_datastore_path(output, uri) for output in one.outputs)
    )


def overwritten(job: Job, progress: Progress, seen: Seen) -> bool | None:
    """Tell whether the input is no longer what was submitted; None where it cannot be told."""
    if job.route.input == "folder":
        if isinstance(seen.files, Forbidden) or not progress.folder_digest:
            return None
        return folder_digest(seen.files) != progress.folder_digest
    submitted = progress.etag or job.landing.etag
    return seen.trigger.etag != submitted if isinstance(seen.trigger, Blob) else None


def folder_digest(files: Sequence[Blob]) -> str:
    """Return what identifies the versions of a folder's files: a digest over paths and ETags."""
    return digest(*(part for file in files for part in (file.path, file.etag)))
