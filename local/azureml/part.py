"""The running Azure ML, as an object for tests."""

from collections.abc import Callable
from pathlib import Path

from local.azureml import scoring
from local.azureml.blobs import JobFailed
from local.azureml.jobs import BatchJob, Jobs, Plan
from local.azureml.lifecycle import Lifecycle
from local.azureml.operations import OperationPlan, Operations
from local.azureml.registered_files import RegisteredFiles
from local.azureml.resources import Resources
from local.azureml.scoring import Program
from local.azureml.uris import input_place, output_place
from local.azureml.workspace import Deployment, Files, Workspace
from local.faults import Faults
from local.run_folder import RunFolder


class AzureMl:
    """The state and the switches of ARM, the scoring URIs and the jobs."""

    def __init__(
        self,
        folder: RunFolder,
        workspace: Workspace,
        *,
        step_seconds: float,
        operation_seconds: float,
    ) -> None:
        self.url = ""  # of ARM
        self.scoring_url = ""  # what the scoring URIs begin with: another host, as in Azure
        self.workspace = workspace
        self.data = workspace.data  # data assets by name and version
        self.resources = Resources()  # that were PUT
        self.operations = Operations(seconds=operation_seconds)
        self.faults = Faults()
        self.jobs = Jobs()
        self.page_size = 100  # items on a page of a listing
        self.decode_percent = False  # whether percent escapes in azureml:// paths are decoded
        self.lifecycle = Lifecycle(self.jobs, self._score, step_seconds=step_seconds)
        self.files = RegisteredFiles(folder, workspace)
        self._folder = folder

    @property
    def hidden(self) -> set[str]:
        """Names of jobs that listings leave out."""
        return self.jobs.hidden

    @property
    def gone(self) -> set[str]:
        """Names of jobs that seem not to exist: GET returns 404."""
        return self.jobs.gone

    @property
    def paused(self) -> bool:
        """Whether jobs stay queued."""
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

    @property
    def operation_seconds(self) -> float:
        """How long a PUT or DELETE of a compute, endpoint or deployment lasts."""
        return self.operations.seconds

    @operation_seconds.setter
    def operation_seconds(self, value: float) -> None:
        self.operations.seconds = value

    def plan(self, plan: Plan) -> Plan:
        """Add a plan for the next jobs that match."""
        self.lifecycle.plans.append(plan)
        return plan

    def plan_operation(self, plan: OperationPlan) -> OperationPlan:
        """Add a plan for the next operations that match."""
        self.operations.plans.append(plan)
        return plan

    def resume(self, name: str | None = None) -> None:
        """Resume a job that a plan keeps in a state, and show it again if it is hidden or gone.

        Without a name do so for all jobs, end all operations at once, and drop all plans.
        """
        self.lifecycle.resume(name)
        if name is None:
            self.operations.resume()

    async def until(
        self, condition: Callable[[list[BatchJob]], bool], *, seconds: float
    ) -> list[BatchJob]:
        """Wait until a condition holds for the jobs; return them. Raises TimeoutError."""
        return await self.jobs.until(condition, seconds=seconds)

    def scoring_uri(self, endpoint: str) -> str:
        """Return the address where an endpoint is invoked."""
        return f"{self.scoring_url}/endpoints/{endpoint}/jobs"

    async def _score(self, job: BatchJob, deployment: Deployment) -> None:
        decode = self.decode_percent
        try:
            source = input_place(job.input_uri, job.kind, self.workspace, decode_percent=decode)
            target = output_place(job.output_uri, self.workspace, decode_percent=decode)
        except ValueError as mistake:  # it was valid when the job was created
            raise JobFailed(str(mistake)) from None
        program = Program(
            code=await self._here(deployment.code),
            script=deployment.script,
            model=await self._here(deployment.model) if deployment.model else None,
            environment_variables=deployment.environment_variables,
        )
        await scoring.score(self._folder, job, program, source, target)

    async def _here(self, files: Files) -> Path:
        return await self.files.local(files, decode_percent=self.decode_percent)
