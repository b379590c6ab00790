"""The life of a batch job.

```
NotStarted → Preparing → Queued → Running → Finalizing → Completed
                                        └──────────────→ Failed
any of these → CancelRequested → Canceled
```
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

from local.azureml.blobs import JobFailed
from local.azureml.jobs import CANCEL_REQUESTED, ENDS, BatchJob, Jobs, Plan
from local.azureml.workspace import Deployment
from local.rules import first_applying

_BEFORE_RUNNING = ("NotStarted", "Preparing", "Queued")
_AFTERWARDS = "Finalizing"

Score = Callable[[BatchJob, Deployment], Awaitable[None]]


class Lifecycle:
    """Lets jobs live, as many at once as there are processors; the others are queued."""

    def __init__(self, jobs: Jobs, score: Score, *, step_seconds: float) -> None:
        self.step_seconds = step_seconds  # that each state lasts
        self.plans: list[Plan] = []
        self._jobs = jobs
        self._score = score
        self._processors = asyncio.Semaphore(os.cpu_count() or 1)
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._resumed: dict[str, asyncio.Event] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    @property
    def paused(self) -> bool:
        """Whether jobs stay queued for now."""
        return not self._unpaused.is_set()

    @paused.setter
    def paused(self, value: bool) -> None:
        (self._unpaused.clear if value else self._unpaused.set)()

    def begin(self, job: BatchJob, deployment: Deployment) -> None:
        """Begin the life of a new job, as it is planned."""
        plan = first_applying(self.plans, job) or Plan()
        if plan.hidden:
            self._jobs.hidden.add(job.name)
        if plan.gone:
            self._jobs.gone.add(job.name)
        self._resumed[job.name] = asyncio.Event()
        self._jobs.change(job, _BEFORE_RUNNING[0])
        life = asyncio.create_task(self._live(job, deployment, plan))
        self._lives[job.name] = life
        life.add_done_callback(lambda _: self._lives.pop(job.name))

    def resume(self, name: str | None = None) -> None:
        """Resume a job and show it again; without a name all jobs, and drop all plans."""
        if name is None:
            self.plans.clear()
        for one in [name] if name is not None else list(self._jobs):
            self._resumed[one].set()
            self._jobs.hidden.discard(one)
            self._jobs.gone.discard(one)

    def cancel(self, job: BatchJob) -> bool:
        """Ask for the cancel of a job; False: it has ended already."""
        if job.ended:
            return False
        if job.status != CANCEL_REQUESTED:
            self._jobs.change(job, CANCEL_REQUESTED)
            self._lives[job.name].cancel()
        return True

    async def close(self) -> None:
        """Kill what runs."""
        lives = list(self._lives.values())
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)

    async def _live(self, job: BatchJob, deployment: Deployment, plan: Plan) -> None:
        try:
            end = await self._work(job, deployment, plan)
        except JobFailed as failure:
            end = ("Failed", str(failure))
        except asyncio.CancelledError:
            if job.status != CANCEL_REQUESTED:
                raise  # the part stops
            await asyncio.sleep(self.step_seconds)
            end = ("Canceled", "")
        except Exception as failure:  # noqa: BLE001 - a job has to end, whatever happens
            end = ("Failed", f"{type(failure).__name__}: {failure}")
        self._jobs.change(job, *end)

    async def _work(self, job: BatchJob, deployment: Deployment, plan: Plan) -> tuple[str, str]:
        """Go through the states; return the end and its message."""
        for state in _BEFORE_RUNNING:
            await self._enter(job, state, plan)
        await self._unpaused.wait()
        if plan.status in ENDS:
            await self._enter(job, "Running", plan)
            return plan.status, plan.message
        if plan.status and plan.status not in (*_BEFORE_RUNNING, _AFTERWARDS):
            await self._enter(job, plan.status, plan)
        async with self._processors:
            await self._unpaused.wait()
            self._jobs.change(job, "Running")
            await self._score(job, deployment)
        await asyncio.sleep(self.step_seconds)
        await self._enter(job, _AFTERWARDS, plan)
        return "Completed", ""

    async def _enter(self, job: BatchJob, state: str, plan: Plan) -> None:
        self._jobs.change(job, state)
        await asyncio.sleep(self.step_seconds)
        if plan.status == state:
            await self._resumed[job.name].wait()
