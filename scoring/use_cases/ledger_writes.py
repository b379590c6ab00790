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
    stands = await services.ledger.claim(job, first_progress(job, state, nonce))
    return stands if stands.progress.nonce == nonce else None


async def save(services: Services, opened: OpenJob, progress: Progress) -> OpenJob | None:
    """Write the progress of a job; None: the job moved on, and nothing was written."""
    stands, ours = await _try_save(services, opened, progress)
    return stands if ours else None


async def record(services: Services, opened: OpenJob, progress: Progress) -> None:
    """Write which batch job the endpoint made of an attempt (edge b).

    this host     POST ──────────────────(slow)──────────── answer ── save: conflict
    poll                 stale ── unknown ─┬─ found: adopted        ── the same name: good
                                           ├─ still unknown         ── write the name there
                                           └─ lost, or even ended   ── cancel this batch job
    """
    stands, ours = await _try_save(services, opened, progress)
    while not ours and stands is not None and _merely_unknown(stands, progress):
        asked, code = stands.progress.cancel_asked, stands.progress.cancel_code
        progress = msgspec.structs.replace(progress, cancel_asked=asked, cancel_code=code)
        stands, ours = await _try_save(services, stands, progress)
    if ours:
        return
    if stands is None or stands.progress.batch_job != progress.batch_job:
        info(Action.MOVED_ON, job=opened.key, attempt=progress.attempt)
        await cancel_surplus(services, opened.key, progress.batch_job)


async def _try_save(
    services: Services, opened: OpenJob, progress: Progress
) -> tuple[OpenJob | None, bool]:
    nonce = services.nonce()
    mine = msgspec.structs.replace(progress, nonce=nonce)
    stands = await services.ledger.save(opened, mine)
    return stands, stands is not None and stands.progress.nonce == nonce


def _merely_unknown(stands: OpenJob, progress: Progress) -> bool:
    return stands.progress.state is State.UNKNOWN and stands.progress.attempt == progress.attempt
