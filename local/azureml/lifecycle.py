"""The states of a batch job.

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
    """Takes jobs through their states; as many run at once as there are processors."""

    def __init__(self, jobs: Jobs, score: Score, *, step_seconds: float) -> None:
        self.step_seconds = step_seconds  # duration of each state
        self.plans: list[Plan] = []
        self._jobs = jobs
        self._score = score
        self._processors = asyncio.Semaphore(os.cpu_count() or 1)
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._resumed: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def paused(self) -> bool:
        """Whether jobs stay queued."""
        return not self._unpaused.is_set()

    @paused.setter
    def paused(self, value: bool) -> None:
        (self._unpaused.clear if value else self._unpaused.set)()

    def begin(self, job: BatchJob, deployment: Deployment) -> None:
        """Start a new job, as planned."""
        plan = first_applying(self.plans, job) or Plan()
        if plan.hidden:
            self._jobs.hidden.add(job.name)
        if plan.gone:
            self._jobs.gone.add(job.name)
        self._resumed[job.name] = asyncio.Event()
        self._jobs.change(job, _BEFORE_RUNNING[0])
        task = asyncio.create_task(self._run(job, deployment, plan))
        self._tasks[job.name] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.name))

    def resume(self, name: str | None = None) -> None:
        """Resume a job and show it again; without a name all jobs, and drop all plans."""
        if name is None:
            self.plans.clear()
        for one in [name] if name is not None else list(self._jobs):
            self._resumed[one].set()
            self._jobs.hidden.discard(one)
            self._jobs.gone.discard(one)

    def cancel(self, job: BatchJob) -> bool:
        """Request the cancel of a job; return False if it has already ended."""
        if job.ended:
            return False
        if job.status != CANCEL_REQUESTED:
            self._jobs.change(job, CANCEL_REQUESTED)
            self._tasks[job.name].cancel()
        return True

    async def close(self) -> None:
        """Stop all jobs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: BatchJob, deployment: Deployment, plan: Plan) -> None:
        try:
            end = await self._work(job, deployment, plan)
        except JobFailed as failure:
            end = ("Failed", str(failure))
        except asyncio.CancelledError:
            if job.status != CANCEL_REQUESTED:
                raise  # the part is stopped
            await asyncio.sleep(self.step_seconds)
            end = ("Canceled", "")
        except Exception as failure:  # noqa: BLE001 - a job must end, even after an unexpected error
            end = ("Failed", f"{type(failure).__name__}: {failure}")
        self._jobs.change(job, *end)

    async def _work(self, job: BatchJob, deployment: Deployment, plan: Plan) -> tuple[str, str]:
        """Take a job through its states; return the final status and its message."""
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
