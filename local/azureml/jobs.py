"""Batch jobs, and plans that tests make for them."""

import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from local.azureml.invocation import Data, Invocation
from local.azureml.workspace import Settings
from local.changes import Changes
from local.names import DATASTORE, TENANT, WORKSPACE_ID
from local.rules import Rule

ENDS = frozenset({"Completed", "Failed", "Canceled"})
CANCEL_REQUESTED = "CancelRequested"


class BatchJob(msgspec.Struct, kw_only=True):
    """A batch job and its present state."""

    name: str
    friendly_name: str
    endpoint: str
    deployment: str
    status: str = "NotStarted"
    message: str = ""  # why it failed
    input_name: str
    kind: str  # UriFile or UriFolder
    input_uri: str
    output_name: str
    output_uri: str
    tags: dict[str, str]
    description: str
    request_id: str | None  # the client's repeatability_request-id; not used
    settings: Settings
    pascal: bool  # whether documents spell its inputs and outputs in PascalCase
    created: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self.status in ENDS

    def document(self) -> dict[str, Any]:
        """Return the document of the job."""
        key = f"{WORKSPACE_ID}/batchEndpoints/{self.endpoint}/jobs/{self.name}"
        studio = f"https://ml.azure.com/runs/{self.name}?wsid={WORKSPACE_ID}&tid={TENANT}"
        properties = {
            "name": self.friendly_name,
            "status": self.status,
            "description": self.description,
            "tags": self.tags,
            **self._data(),
            "interactionEndpoints": {"Studio": {"jobEndpointType": "Studio", "endpoint": studio}},
        }
        if self.message:
            error = {"code": "UserError", "message": self.message}
            properties["error"] = {"error": error}
        system = {"createdAt": self.created.isoformat().replace("+00:00", "Z")}
        return {"id": key, "name": self.name, "properties": properties, "systemData": system}

    def _data(self) -> dict[str, Any]:
        inputs = {"JobInputType": self.kind, "Uri": self.input_uri}
        outputs = {"JobOutputType": "UriFile", "Uri": self.output_uri}
        data = {
            "InputData": {self.input_name: _spelled(inputs, pascal=self.pascal)},
            "OutputData": {self.output_name: _spelled(outputs, pascal=self.pascal)},
        }
        return _spelled(data, pascal=self.pascal)


class Plan(Rule[BatchJob], kw_only=True):
    """What happens to the next jobs that match."""

    status: str = ""
    """A final status: the job ends with it and runs nothing, so it has no output.
    Another status, known or invented: the job stays in it before it runs, until it is resumed.
    CancelRequested: until then the job also ignores cancels. Empty: the job runs as usual."""
    message: str = ""  # why it failed
    hidden: bool = False  # the job is left out of listings until it is resumed
    gone: bool = False  # hidden, and its endpoint answers 404 until it is resumed, cancels too
    match: str = ""  # a regular expression that is searched for in "<endpoint> <input URI>"

    def matches(self, subject: BatchJob) -> bool:
        """Return whether the plan is for a job."""
        return bool(re.search(self.match, f"{subject.endpoint} {subject.input_uri}"))


class Jobs(dict[str, BatchJob]):
    """All jobs by name, in the order of their creation."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()  # names that listings leave out
        self.gone: set[str] = set()  # names that GET and cancel do not find either
        self.history: list[tuple[str, str]] = []  # each change: the name and the new status
        self._changes = Changes()

    def known(self, name: str, endpoint: str | None = None) -> BatchJob | None:
        """Return the job of a name, unless it is gone or another endpoint's."""
        job = self.get(name)
        if job is None or name in self.gone:
            return None
        return job if endpoint is None or endpoint.lower() == job.endpoint.lower() else None

    def listed(self, endpoint: str) -> list[BatchJob | None]:
        """Return the jobs of an endpoint, with None for each that its listing leaves out."""
        left_out = self.hidden | self.gone
        jobs = (job for job in self.values() if job.endpoint == endpoint)
        return [None if job.name in left_out else job for job in jobs]

    def change(self, job: BatchJob, status: str, message: str = "") -> None:
        """Change the status of a job, or add it."""
        job.status, job.message = status, message
        self[job.name] = job
        self.history.append((job.name, status))
        self._changes.happened()

    async def until(
        self, condition: Callable[[list[BatchJob]], bool], *, seconds: float
    ) -> list[BatchJob]:
        """Wait until a condition holds for the jobs; return them. Raises TimeoutError."""
        await self._changes.until(lambda: condition(list(self.values())), seconds=seconds)
        return list(self.values())


def new_job(
    endpoint: str, deployment: str, invocation: Invocation, request_id: str | None
) -> BatchJob:
    """Return a new job for an invocation; the same invocation twice makes two jobs."""
    name = f"batchjob-{uuid.uuid4()}"
    default = (
        f"azureml://datastores/{DATASTORE}/paths/{name}/{invocation.settings.output_file_name}"
    )
    output = invocation.output or Data(name="score", kind="UriFile", uri=default)
    return BatchJob(
        name=name,
        friendly_name=f"local_{secrets.token_hex(5)}",
        endpoint=endpoint,
        deployment=deployment,
        input_name=invocation.input.name,
        kind=invocation.input.kind,
        input_uri=invocation.input.uri,
        output_name=output.name,
        output_uri=output.uri,
        tags=invocation.tags,
        description=invocation.description,
        request_id=request_id,
        settings=invocation.settings,
        pascal=invocation.pascal,
    )


def _spelled(document: dict[str, Any], *, pascal: bool) -> dict[str, Any]:
    if pascal:
        return document
    return {name[:1].lower() + name[1:]: value for name, value in document.items()}
