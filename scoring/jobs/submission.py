"""What becomes of a job around its POST and its end: pure functions, as `next_step` is poll's.

`before_submission` and `verdict` look at the blobs before and after a batch job, `after_answer` is
what follows a POST. The letters are those of docs/design.md.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scoring.jobs.batch_job import Accepted, Answer, ErrorAnswer, NotSent
from scoring.jobs.blobs import Blob, Forbidden, Seen, Unreadable
from scoring.jobs.job import Job, misplaced
from scoring.jobs.landing import Landing
from scoring.jobs.outcome import Finish, Outcome, Status
from scoring.jobs.progress import OpenJob, Progress, Save, State
from scoring.log import Action
from scoring.timing import Timing

# --- around a POST ------------------------------------------------------------------------------

_BORNE_FOR_A_WHILE = frozenset({401, 403, 404})
_THROTTLED = 429
# Refusals with 400 that are about the endpoint: it has no default deployment, or none that works.
_SET_UP = ("no valid deployments to route to", "default deployment")
DEFINITE = frozenset({400, 413, 422, _THROTTLED}) | _BORNE_FOR_A_WHILE
"""Statuses that say for certain that nothing was created. Every other one is unclear."""


class Newer(msgspec.Struct, frozen=True):
    """The landed blob was overwritten before its turn; this stands there now."""

    landing: Landing


class Hold(msgspec.Struct, frozen=True):
    """The job waits: what it needs is not there yet, and no event will say when it is."""

    reason: str
    until: datetime | None = None  # None: a minute


Obstacle = Outcome | Newer | Hold


def before_submission(job: Job, seen: Seen, now: datetime, timing: Timing) -> Obstacle | None:
    """Return why a job is not submitted, or None if it is.

    Where the app may not look, the endpoint has the last word.
    """
    wrong = misplaced(job)
    if wrong is not None:
        return _rejected("misplaced", f"its {wrong} lies elsewhere than its route says")
    if job.late:
        return _late()
    if any(blob.copying for blob in seen.blobs):
        return Hold("copying")
    if job.route.gathers:
        return _empty_folder(job, seen.files)
    return _about_what_landed(job, seen, now, timing)


def _about_what_landed(job: Job, seen: Seen, now: datetime, timing: Timing) -> Obstacle | None:
    blob = seen.trigger
    if isinstance(blob, Forbidden):
        return None
    if isinstance(blob, Unreadable):
        return _rejected("storage-refused", blob.message)
    if blob is None:
        return _rejected("deleted", "it was deleted before its turn")
    if blob.etag != job.landing.etag and job.route.on_overwrite == "score":
        return Newer(
            msgspec.structs.replace(
                job.landing, etag=blob.etag, size=blob.size, landed=blob.modified
            )
        )
    if job.route.input == "folder":
        return _directory(blob) or _empty_folder(job, seen.files)
    return _directory(blob) or _unfit(blob) or _empty(job, blob, now, timing)


def _empty_folder(job: Job, files: Sequence[Blob] | Forbidden) -> Outcome | None:
    if isinstance(files, Forbidden) or any(file.path != job.landing.path for file in files):
        return None
    return _rejected("folder-empty", "no file (but a marker) lies directly in it")


def _late() -> Outcome:
    message = "the folder changed after its submission, and its route scores it once"
    return _rejected("late", message)


def _directory(blob: Blob) -> Outcome | None:
    if not blob.is_directory:
        return None
    return _rejected("directory", "it is an empty blob that stands for a directory")


def _unfit(blob: Blob) -> Outcome | None:
    if not blob.block:
        return _rejected("not-a-block-blob", "page and append blobs cannot be scored")
    if blob.archived:
        return _rejected("archived", "it lies in the archive tier and cannot be read")
    return None


def _empty(job: Job, blob: Blob, now: datetime, timing: Timing) -> Outcome | Hold | None:
    """Some writers create a file first and fill it a moment later."""
    if blob.size > 0 or job.route.on_empty == "score":
        return None
    age = now - blob.modified
    if age < timing.empty_patience:
        again = max(blob.modified + 2 * age, now + timing.ask_at_most)
        return Hold("empty", min(again, blob.modified + timing.empty_patience))
    return _rejected("empty", "it has no content")


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
    if _may_be_fixed(answer) and now - since < timing.refusal_patience:
        wait = min(max(now - since, timing.ask_at_most), timing.retry_at_most)
        held = progress.to(State.PENDING, refused_since=since, not_before=now + wait)
        return Save(held, Action.HELD, reason)
    return Finish(Outcome(status=Status.FAILED, code="refused", message=reason))


# --- after a batch job --------------------------------------------------------------------------


def after_failure(
    progress: Progress, reason: str, now: datetime, timing: Timing, *, refused: bool
) -> Save | Finish:
    """Return what follows when something failed before the POST, as a look at the input.

    A service that is away never ends a job. One that has refused for too long does: `refused`.
    """
    failed_since = progress.held_since or now
    refused_since = (progress.look_refused or now) if refused else None
    if refused_since is not None and now - refused_since >= timing.refusal_patience:
        message = f"the input could not be looked at since {refused_since}: {reason}"
        return Finish(_rejected("storage-refused", message))
    wait = timing.ask_at_most
    if refused:
        wait = min(max(now - failed_since, wait), timing.retry_at_most)
    pending = progress.to(
        State.PENDING,
        not_before=now + wait,
        held_since=failed_since,
        look_refused=refused_since,
    )
    return Save(pending, Action.HELD, reason)


def _may_be_fixed(answer: ErrorAnswer) -> bool:
    """Tell whether it is the set-up that was refused, which an operator can fix, and not the job."""
    return answer.status in _BORNE_FOR_A_WHILE or any(
        text in answer.message.lower() for text in _SET_UP
    )
