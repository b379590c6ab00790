"""The jobs of one folder take turns: a later one replaces those before it, or waits for its gap."""

from datetime import datetime

from scoring.decisions import Outcome, Seen, Status
from scoring.filling import gathered_again
from scoring.job import Folder, Job, attempt_tag
from scoring.ports import Forbidden, Services


async def overtaken(services: Services, job: Job, seen: Seen) -> Outcome | None:
    """Return why a folder is left to a later job of it, if there is one for what lies there now."""
    if not job.route.gathers or isinstance(seen.files, Forbidden):
        return None
    now = gathered_again(job, seen.files, services.escaping)
    if now.key == job.key:
        return None
    if await services.ledger.job(now.key) is None and await services.ledger.end(now.key) is None:
        return None
    message = f"the folder changed before its turn; its job now is {now.key}"
    return Outcome(status=Status.SUPERSEDED, code="overwritten", message=message)


async def next_turn(services: Services, job: Job, attempt: int, now: datetime) -> datetime | None:
    """Return when the folder of a job may be submitted again; None: now, and it is written down."""
    gap = job.route.minimum_gap
    if gap is None:
        return None
    folder = Folder(route=job.route, place=job.place, path=job.path)
    tag, last = attempt_tag(job.key, attempt), await services.folders.turn(folder.key)
    # An attempt that comes again was refused: it was no submission.
    if last is not None and last.tag != tag and now < last.taken + gap:
        return last.taken + gap
    taken = await services.folders.take_turn(folder.key, tag, last)
    return None if taken else now + gap  # else another job of this folder was faster
