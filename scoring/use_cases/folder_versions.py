"""Which job a quiet folder is submitted by, when it changed while its job waited.

The key of a folder's job is a digest over its files. Two jobs with the same files must not both be
submitted, and no files may be left without a job. So the folder is submitted by the job of the
files that lie there now:

    the job's own files ─────────────────────────────► submit it
    other files; their job
      ├─ is not known ──► claim it ──► this job is superseded ──► submit that one
      ├─ was submitted with them, or is a later one ──► this job is superseded
      ├─ is an earlier one that waits ──► this job waits until that one was submitted
      └─ ended or was submitted otherwise ──► submit this job

Of two jobs that wait only the earlier one yields to the later one: else two hosts that look while
files come and go could give up both.
"""

from datetime import datetime
from typing import NamedTuple

from scoring.events.completion import was_submitted
from scoring.jobs.blobs import Forbidden, Seen
from scoring.jobs.folders import gathered
from scoring.jobs.job import Job
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import OpenJob, State
from scoring.jobs.submission import Hold
from scoring.ports import Ledger
from scoring.uris import Escaping

_WAITING = frozenset({State.PENDING, State.SUBMITTING})


class Instead(NamedTuple):
    """Another job of the folder is to be claimed, and submitted instead."""

    job: Job


async def obstacle_or_other(
    ledger: Ledger, job: Job, seen: Seen, escaping: Escaping
) -> Outcome | Hold | Instead | None:
    """Return what becomes of a job whose folder was just looked at; None: it is submitted."""
    if not job.route.gathers or job.route.late == "ignore" or isinstance(seen.files, Forbidden):
        return None
    other = gathered(job.folder, seen.files, escaping, emptied=job.landing.landed)
    if other.key in (job.key, job.again_of):
        return None
    # Its entry may outlive its end: until the event is out.
    end = await ledger.end(other.key)
    if end is not None:
        return superseded_by(other) if was_submitted(end) else None
    entry = await ledger.entry(other.key)
    return Instead(other) if entry is None else _beside(job, other, entry)


def superseded_by(other: Job) -> Outcome:
    """Return the end of a job whose files are scored by another one."""
    message = f"the folder changed before its turn; its job now is {other.key}"
    return Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)


def _beside(job: Job, other: Job, entry: OpenJob) -> Outcome | Hold | None:
    submitted_with = entry.progress.folder_digest
    if entry.progress.state not in _WAITING and submitted_with not in ("", other.landing.etag):
        return None
    if entry.progress.state not in _WAITING or _age(other) > _age(job):
        return superseded_by(other)
    return Hold(f"job {other.key} of the same folder comes first")


def _age(job: Job) -> tuple[datetime, str]:
    return job.landing.landed, job.key
