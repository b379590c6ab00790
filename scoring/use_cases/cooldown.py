"""The jobs of one folder: a later one replaces those before it, or waits for the cooldown."""

from datetime import datetime

from scoring.jobs.blobs import Forbidden, Seen, folder_digest
from scoring.jobs.job import Job, attempt_tag
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import OpenJob
from scoring.ports import Folders, Ledger


async def overtaken(ledger: Ledger, job: Job, seen: Seen) -> Outcome | None:
    """Return why a folder is left to a later job of it, if there is one for what lies there now."""
    if not job.route.gathers or isinstance(seen.files, Forbidden):
        return None
    now = job.folder.job_key(folder_digest(seen.files))
    landed = max((file.modified for file in seen.files), default=job.landing.landed)
    if now in (job.key, job.again_of) or (landed, now) < (job.landing.landed, job.key):
        return None  # of two that wait only one may yield to the other
    if await ledger.job(now) is None and await ledger.end(now) is None:
        return None
    message = f"the folder changed before its turn; its job now is {now}"
    return Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)


async def cooldown_until(folders: Folders, job: Job, entry: OpenJob) -> datetime | None:
    """Return when the folder of a job may be submitted again; None: now, and it is written down."""
    gap = job.route.minimum_gap
    if gap is None:
        return None
    tag, folder = attempt_tag(job.key, entry.progress.attempt), job.folder.key
    last = await folders.cooldown(folder)
    # An attempt that comes again was refused: it was no submission.
    if last is not None and last.tag != tag and entry.changed < last.taken + gap:
        return last.taken + gap
    taken = await folders.start_cooldown(folder, tag, last)
    return None if taken else entry.changed + gap  # else another job of this folder was faster
