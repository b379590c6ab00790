"""Time budgets of a batch job: how long it may queue, run, and take in all.

The queue budget counts from the submission until the batch job was seen running, the run budget
from then on, whatever the endpoint says later; the whole one counts from the submission, always.
"""

from datetime import datetime, timedelta

import msgspec

from scoring.jobs.batch_job import JobState
from scoring.jobs.progress import OpenJob, Progress
from scoring.timing import Timing


class _Budget(msgspec.Struct, frozen=True, kw_only=True):
    code: str  # the reason of a job whose budget ran out
    since: datetime
    lasts: timedelta


def run_out(
    progress: Progress, submitted: datetime, state: JobState, now: datetime, timing: Timing
) -> str | None:
    """Return the code of a budget that has run out for a batch job in this state."""
    budgets = _budgets(progress, submitted, state, timing)
    return next((one.code for one in budgets if now - one.since >= one.lasts), None)


def give_up_at(entry: OpenJob, submitted: datetime, timing: Timing) -> datetime:
    """Return when a batch job that nobody has seen end is waited for no longer.

    An operator may have canceled a job long before its batch job was known: it could be asked for
    only from then on, which is since when the entry stands so.
    """
    asked = entry.progress.cancel_asked
    over = submitted + timing.whole if asked is None else max(asked, entry.changed)
    return over + timing.cancel_patience


def _budgets(
    progress: Progress, submitted: datetime, state: JobState, timing: Timing
) -> list[_Budget]:
    whole = _Budget(code="whole-timeout", since=submitted, lasts=timing.whole)
    if progress.running is not None:
        lasts = progress.run_timeout or timing.run
        return [_Budget(code="run-timeout", since=progress.running, lasts=lasts), whole]
    if state is JobState.RUNNING:
        return [whole]
    lasts = progress.queue_timeout or timing.queue
    return [_Budget(code="queue-timeout", since=submitted, lasts=lasts), whole]
