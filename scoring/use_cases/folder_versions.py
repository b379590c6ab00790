"""Which job a quiet folder is submitted by, when it changed while its job waited.

The key of a folder's job is a digest over its files. Two jobs must not both be submitted with the
same files, and no files may be left without a job. So the job in hand is submitted only if the
folder still holds its own files. Else it yields to the job of the files that lie there now:

    that job
      ├─ is not known ──► claim it ──► the job in hand is superseded ──► submit that one
      ├─ has ended, or was submitted, or is a later one that waits ──► superseded
      └─ is an earlier one that waits ──► the job in hand waits until that one was submitted

Of two jobs that wait only the earlier one yields to the later one: else two hosts that look while
files come and go could give up both. A job that was superseded is never submitted. If its files
lie there again, they get a job of their own: `job_of_files`.
"""

from datetime import datetime
from typing import NamedTuple

from scoring.events.completion import is_superseded
from scoring.jobs.blobs import Forbidden, Seen
from scoring.jobs.folders import gathered
from scoring.jobs.job import Job, again
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import OpenJob, State
from scoring.jobs.submission import Hold
from scoring.ports import Ledger
from scoring.uris import Escaping

SAME_FILES = "the same files lie there again"  # the request that the key of such a job holds

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
    present = gathered(job.folder, seen.files, escaping, emptied=job.landing.landed)
    if present.key in (job.key, job.again_of):
        return None
    other, ended = await job_of_files(ledger, present)
    if other.key == job.key:
        return None
    if ended:
        return superseded_by(other)
    entry = await ledger.entry(other.key)
    return Instead(other) if entry is None else _beside(job, other, entry)


async def job_of_files(ledger: Ledger, job: Job) -> tuple[Job, bool]:
    """Return the job that scores the files of this one, and whether it has ended.

    Where that was superseded without its files being scored, it is another one.
    """
    end = await ledger.end(job.key)
    while end is not None and is_superseded(end):
        job = again(job, SAME_FILES)
        end = await ledger.end(job.key)
    return job, end is not None


def superseded_by(other: Job) -> Outcome:
    """Return the end of a job whose files are scored by another one."""
    message = f"the folder changed before its turn; its job now is {other.key}"
    return Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)


def _beside(job: Job, other: Job, entry: OpenJob) -> Outcome | Hold:
    if entry.progress.state not in _WAITING or _age(other) > _age(job):
        return superseded_by(other)
    return Hold(f"job {other.key} of the same folder comes first")


def _age(job: Job) -> tuple[datetime, str]:
    return job.landing.landed, job.key
