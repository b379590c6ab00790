"""What becomes of a job around its POST and its end: pure functions, as `next_step` is poll's.

`before_submission` and `verdict` look at the blobs before and after a batch job, `after_answer` is
what follows a POST. The letters are those of docs/design.md.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scoring.jobs.batch_job import Accepted, Answer, ErrorAnswer, NotSent
from scoring.jobs.blobs import Blob, Forbidden, Seen
from scoring.jobs.job import Job, misplaced
from scoring.jobs.landing import Landing
from scoring.jobs.outcome import Finish, Outcome, Status
from scoring.jobs.progress import OpenJob, Progress, Save, State
from scoring.log import Action
from scoring.timing import Timing

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


def before_submission(job: Job, seen: Seen) -> Outcome | Newer | Copying | None:
    """Return why a job is not submitted, or None if it is.

    Where the app may not look, the endpoint has the last word.
    """
    wrong = misplaced(job)
    if wrong is not None:
        return _rejected("misplaced", f"its {wrong} lies elsewhere than its route says")
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
    if blob.is_directory:
        return _rejected("directory", "it is an empty blob that stands for a directory")
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


def after_answer(entry: OpenJob, answer: Answer, now: datetime, timing: Timing) -> Save | Finish:
    """Return what follows the answer to a POST of the attempt that `entry` describes."""
    progress = entry.progress
    if isinstance(answer, Accepted):
        # What was written before this time is not the attempt's output.
        accepted = progress.to(
            State.SUBMITTED,
            batch_job=answer.batch_job,
            submitted=entry.changed,
            refused_since=None,
            not_before=None,
        )
        return Save(accepted, Action.SUBMITTED)
    if isinstance(answer, ErrorAnswer) and answer.status in DEFINITE:
        return _refused(progress, answer, now, timing)
    if isinstance(answer, NotSent):
        return Save(progress.to(State.PENDING), Action.HELD, answer.message)
    reason = _said(answer) if isinstance(answer, ErrorAnswer) else answer.message
    unknown = progress.to(State.UNKNOWN, submitted=entry.changed)
    return Save(unknown, Action.UNCLEAR, reason)


def _said(answer: ErrorAnswer) -> str:
    return f"{answer.status}: {answer.message or '(no message)'}"


def _refused(
    progress: Progress, answer: ErrorAnswer, now: datetime, timing: Timing
) -> Save | Finish:
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
