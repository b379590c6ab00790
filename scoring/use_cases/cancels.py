"""Asking for the cancel of batch jobs."""

from scoring.errors import LandfallError
from scoring.jobs.progress import Progress
from scoring.log import Action, warning
from scoring.ports import Workspace


async def ask_for_cancel(workspace: Workspace, key: str, progress: Progress) -> None:
    """Ask for the cancel of a job's batch job, which its progress says already."""
    warning(
        Action.CANCELING,
        job=key,
        route=progress.route,
        batch_job=progress.batch_job,
        reason=progress.cancel_code,
    )
    await workspace.cancel(progress.batch_job)


async def cancel_surplus(workspace: Workspace, key: str, batch_job: str) -> None:
    """Ask for the cancel of a batch job that no open attempt stands behind."""
    try:
        await workspace.cancel(batch_job)
    except LandfallError as failure:
        warning(Action.SURPLUS_LEFT, job=key, batch_job=batch_job, error=str(failure))
    else:
        warning(Action.SURPLUS, job=key, batch_job=batch_job)
