"""The cooldown of a folder: the time between two submissions of it, where its route has one."""

from datetime import datetime

from scoring.jobs.job import Job, attempt_tag
from scoring.jobs.progress import OpenJob
from scoring.ports import Folders


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
