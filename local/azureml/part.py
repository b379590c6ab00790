"""The running Azure ML, as tests hold it in their hands."""

from collections.abc import Callable

from local.azureml import scoring
from local.azureml.blobs import JobFailed
from local.azureml.jobs import BatchJob, Jobs, Plan
from local.azureml.lifecycle import Lifecycle
from local.azureml.uris import input_place, output_place
from local.azureml.workspace import Deployment, Workspace
from local.faults import Faults
from local.run_folder import RunFolder


class AzureMl:
    """ARM, the scoring URIs, and the jobs."""

    def __init__(self, folder: RunFolder, workspace: Workspace, *, step_seconds: float) -> None:
        self.url = ""  # of ARM; the scoring URIs are below it
        self.workspace = workspace
        self.data = workspace.data  # assets by name and version
        self.faults = Faults()
        self.jobs = Jobs()
        self.page_size = 100  # of listings
        self.decode_percent = False  # whether percent escapes in azureml:// paths are decoded
        self.lifecycle = Lifecycle(self.jobs, self._score, step_seconds=step_seconds)
        self._folder = folder

    @property
    def hidden(self) -> set[str]:
        """Names of jobs that no listing shows."""
        return self.jobs.hidden

    @property
    def gone(self) -> set[str]:
        """Names of jobs that are known no more: GET answers 404."""
        return self.jobs.gone

    @property
    def paused(self) -> bool:
        """Whether jobs stay queued for now."""
        return self.lifecycle.paused

    @paused.setter
    def paused(self, value: bool) -> None:
        self.lifecycle.paused = value

    @property
    def step_seconds(self) -> float:
        """How long each state of a job before its end lasts."""
        return self.lifecycle.step_seconds

    @step_seconds.setter
    def step_seconds(self, value: float) -> None:
        self.lifecycle.step_seconds = value

    def plan(self, plan: Plan) -> Plan:
        """Plan what becomes of the next jobs that match."""
        self.lifecycle.plans.append(plan)
        return plan

    def release(self, name: str | None = None) -> None:
        """Let a job go on that was held, hidden or gone; without a name all, and forget plans."""
        self.lifecycle.release(name)

    async def until(
        self, true_of: Callable[[list[BatchJob]], bool], *, seconds: float
    ) -> list[BatchJob]:
        """Wait until something is true of the jobs; return them. Raises TimeoutError."""
        return await self.jobs.until(true_of, seconds=seconds)

    def scoring_uri(self, endpoint: str) -> str:
        """Return the address where an endpoint is invoked."""
        return f"{self.url}/endpoints/{endpoint}/jobs"

    async def _score(self, job: BatchJob, deployment: Deployment) -> None:
        decode = self.decode_percent
        try:
            source = input_place(job.input_uri, job.kind, self.workspace, decode_percent=decode)
            target = output_place(job.output_uri, self.workspace, decode_percent=decode)
        except ValueError as mistake:  # it was right when the job was made
            raise JobFailed(str(mistake)) from None
        await scoring.score(self._folder, job, deployment, source, target)
