"""Writing to the ledger: every write carries a nonce, by which its writer knows it again."""

import msgspec

from scoring.jobs.job import Job
from scoring.jobs.progress import OpenJob, Progress, State, first_progress
from scoring.log import Action, info
from scoring.ports import Services
from scoring.use_cases.cancels import cancel_surplus


async def claim(services: Services, job: Job, state: State) -> OpenJob | None:
    """Claim a job; None: it is open already."""
    nonce = services.nonce()
    current = await services.ledger.claim(job, first_progress(job, state, nonce))
    return current if current.progress.nonce == nonce else None


async def save(services: Services, entry: OpenJob, progress: Progress) -> OpenJob | None:
    """Write the progress of a job; None: the job moved on, and nothing was written."""
    current, ours = await _try_save(services, entry, progress)
    return current if ours else None


async def record(services: Services, entry: OpenJob, progress: Progress) -> None:
    """Write which batch job the endpoint made of an attempt (edge b).

    this host     POST ──────────────────(slow)──────────── answer ── save: conflict
    poll                 stale ── unknown ─┬─ found: adopted        ── the same name: good
                                           ├─ still unknown         ── write the name there
                                           └─ lost, or even ended   ── cancel this batch job
    """
    current, ours = await _try_save(services, entry, progress)
    while not ours and current is not None and _merely_unknown(current, progress):
        asked, code = current.progress.cancel_asked, current.progress.cancel_code
        progress = msgspec.structs.replace(progress, cancel_asked=asked, cancel_code=code)
        current, ours = await _try_save(services, current, progress)
    if ours:
        return
    if current is None or current.progress.batch_job != progress.batch_job:
        info(Action.MOVED_ON, job=entry.key, attempt=progress.attempt)
        await cancel_surplus(services.workspace, entry.key, progress.batch_job)


async def _try_save(
    services: Services, entry: OpenJob, progress: Progress
) -> tuple[OpenJob | None, bool]:
    nonce = services.nonce()
    mine = msgspec.structs.replace(progress, nonce=nonce)
    current = await services.ledger.save(entry, mine)
    return current, current is not None and current.progress.nonce == nonce


def _merely_unknown(current: OpenJob, progress: Progress) -> bool:
    return current.progress.state is State.UNKNOWN and current.progress.attempt == progress.attempt
