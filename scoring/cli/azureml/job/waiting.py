"""Waits for the end of a batch job."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scoring.cli.azureml.job.endpoint_jobs import Described, EndpointJobs
from scoring.cli.backoff import BATCH_JOBS, Backoff
from scoring.cli.console import Bar, Console
from scoring.cli.failures import Interrupted, JobFailed, Refused
from scoring.errors import Unavailable
from scoring.jobs.batch_job import JobState

_NOT_FOUND = 404
_MOST_FAILURES = (
    5  # requests in a row without a usable answer, each of which was tried several times
)
_STAGES = {
    "notstarted": 0,
    "starting": 0,
    "provisioning": 1,
    "preparing": 1,
    "queued": 2,
    "running": 3,
    "finalizing": 4,
    "completed": 5,
    "failed": 5,
    "canceled": 5,
}
"""How far a batch job is, by Azure ML's state; other states do not show it."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A batch job that has ended, with its states and the times when they were first seen."""

    described: Described
    states: list[tuple[str, datetime]]

    def plain(self) -> dict[str, Any]:
        """Return the result for programs."""
        states = [{"state": state, "seen": seen} for state, seen in self.states]
        return {**self.described.plain(), "states": states}


def how_to_wait(endpoint: str, name: str) -> str:
    """Return the command that waits for a batch job."""
    return f"`python -m scoring job wait {name} --endpoint {endpoint}`"


async def completed(
    jobs: EndpointJobs, name: str, console: Console, looks: Backoff = BATCH_JOBS
) -> Ended:
    """Wait until a batch job completes, and show its states.

    Raises:
        JobFailed: it failed, or was canceled.
        Interrupted: Ctrl-C; the batch job is still running.
        Refused, Unavailable: the endpoint does not return it.
    """
    again = f"the batch job is still running; {how_to_wait(jobs.endpoint, name)} waits again"
    try:
        ended = await _ended(jobs, name, console, looks)
    except asyncio.CancelledError:
        raise Interrupted(f"interrupted: {again}", batch_job=name, endpoint=jobs.endpoint) from None
    except Unavailable as failure:
        raise Unavailable(f"{failure}; {again}") from None
    if ended.described.job.state is not JobState.COMPLETED:
        why = ended.described.job.message or "no reason was given"
        raise JobFailed(
            f"batch job {name}: {ended.described.state.lower()}: {why}", **ended.plain()
        )
    return ended


async def _ended(jobs: EndpointJobs, name: str, console: Console, looks: Backoff) -> Ended:
    states: list[tuple[str, datetime]] = []
    failures = 0
    with console.bar(name, max(_STAGES.values())) as bar:
        for wait in looks.waits():
            try:
                found = await jobs.get(name)
            except (Unavailable, Refused) as failure:
                # A new batch job may not be known everywhere yet.
                missing = getattr(failure, "details", {}).get("status") == _NOT_FOUND
                failures += 1
                if failures == _MOST_FAILURES or not (missing or isinstance(failure, Unavailable)):
                    raise
                console.note(f"trying again: {failure}")
            else:
                failures = 0
                if not states or states[-1][0] != found.state:
                    states.append((found.state, datetime.now(UTC)))
                    _show(states, console, bar)
                if found.job.state.ended:
                    return Ended(described=found, states=states)
            await asyncio.sleep(wait)
    raise AssertionError("the waits never end")


def _show(states: list[tuple[str, datetime]], console: Console, bar: Bar) -> None:
    """Show the latest state."""
    *before, (state, seen) = states
    waited = f" after {(seen - states[0][1]).total_seconds():.0f} s" if before else ""
    console.note(f"{state}{waited}")
    reached = max((_stage(one) for one, _ in before), default=0)
    bar.advance(max(0, _stage(state) - reached))


def _stage(state: str) -> int:
    return _STAGES.get(state.lower(), 0)
