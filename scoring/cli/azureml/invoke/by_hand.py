"""Submits one batch job by hand, with a single POST."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from scoring.azure.batch_endpoint import AzureBatchEndpoints
from scoring.azure.invoke_body import data, given, overrides
from scoring.cli.azureml.invoke import outputs
from scoring.cli.azureml.invoke.inputs import Source, resolved
from scoring.cli.azureml.job.endpoint_jobs import EndpointJobs, endpoint_jobs
from scoring.cli.datastores import default_datastore
from scoring.cli.failures import Exit, Failure, Interrupted, Refused, UsageError
from scoring.cli.session import Session
from scoring.errors import LandfallError, Unavailable
from scoring.jobs.batch_job import Accepted, ErrorAnswer, NotSent, Submission, Unclear
from scoring.jobs.submission import DEFINITE
from scoring.routes.route import OutputKind, SubmissionFields
from scoring.routes.rules import submission_problems
from scoring.uris import same_datastore_path

LoggingLevel = Literal["debug", "info", "warning"]

_POST_SECONDS = 90.0
_THROTTLED = 429


@dataclass(frozen=True, kw_only=True)
class Work:
    """What to submit. None: as the deployment says."""

    endpoint: str
    source: Source
    deployment: str | None = None  # None: the endpoint's default
    output: str | None = None  # URI; None: a new path on the default datastore
    output_kind: OutputKind = "file"  # none: the service chooses the path
    fields: SubmissionFields = field(default_factory=SubmissionFields)
    max_concurrency: int | None = None  # mini-batches at a time on an instance
    logging_level: LoggingLevel | None = None
    output_file_name: str | None = None
    experiment_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise `UsageError` for an option that cannot be used."""
        for name, problem in submission_problems(self.fields):
            raise UsageError(f"{_option(name)}: {problem}")
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise UsageError("--max-concurrency: must be at least 1")
        if self.output_file_name is not None and not self.output_file_name.strip("./"):
            raise UsageError("--output-file-name: must be the name of a file")
        if self.output_file_name is not None and "/" in self.output_file_name:
            raise UsageError("--output-file-name: must be a name without a slash")
        if self.output is not None:
            outputs.checked(self.output, self.output_kind)


@dataclass(frozen=True, kw_only=True)
class Invoked:
    """A batch job that an endpoint accepted."""

    jobs: EndpointJobs
    batch_job: str  # its name
    deployment: str | None
    input: str  # URI
    output: str | None  # URI

    def plain(self) -> dict[str, Any]:
        """Return the result for programs."""
        return {
            "batch_job": self.batch_job,
            "endpoint": self.jobs.endpoint,
            "deployment": self.deployment,
            "input": self.input,
            "output": self.output,
        }


class OutcomeUnknown(Failure):
    """It is unknown whether the endpoint accepted the batch job."""

    exit_code = Exit.UNAVAILABLE


async def invoke_by_hand(session: Session, work: Work) -> Invoked:
    """Submit one batch job, with one POST.

    Raises:
        UsageError: an option cannot be used.
        Refused: the workspace or the endpoint refuses it; there is no batch job.
        Unavailable: it was not sent, or the endpoint is busy; there is no batch job.
        OutcomeUnknown, Interrupted: there may be a batch job; the message says how to find out.
    """
    work.check()
    jobs = await endpoint_jobs(session, work.endpoint)
    output = await _output(session, work)
    source = await resolved(session, work.source)
    tag = output or secrets.token_hex(16)
    submission = Submission(
        tag=tag,
        deployment=work.deployment,
        kind=work.source.kind,
        input_uri=source,
        output_uri=output or "",
        output_kind=work.output_kind,
        input_name=work.fields.input_name,
        output_name=work.fields.output_name,
        params=work.fields.params,
    )
    post = _Post(
        session=session,
        jobs=jobs,
        submission=submission,
        body=body(work, submission),
        own_output=bool(output) and work.output is None,
    )
    try:
        name = await post.send()
    except asyncio.CancelledError:
        raise Interrupted(post.outcome_unknown("interrupted"), **post.marks()) from None
    return Invoked(
        jobs=jobs, batch_job=name, deployment=work.deployment, input=source, output=output
    )


def body(work: Work, submission: Submission) -> dict[str, Any]:
    """Return the body of the POST: only what was asked for."""
    level = work.logging_level
    return {
        "properties": {
            **data(submission),
            **overrides(work.fields),
            **given(
                maxConcurrencyPerInstance=work.max_concurrency,
                loggingLevel=level.capitalize() if level else None,
                outputFileName=work.output_file_name,
                properties=given(experimentName=work.experiment_name),
                tags=work.tags,
            ),
        }
    }


def _option(name: str) -> str:
    if name.startswith("params."):
        return f"--param {name.removeprefix('params.')}"
    return f"--{name.replace('_', '-')}"


async def _output(session: Session, work: Work) -> str | None:
    if work.output_kind == "none":
        return None
    if work.output is None:
        store = await default_datastore(session.arm)
        name = (work.output_file_name or outputs.FILE_NAME) if work.output_kind == "file" else ""
        now, nonce = datetime.now(UTC), secrets.token_hex(4)
        return outputs.unique(store.name, work.endpoint, name, now, nonce)
    if work.output_kind == "file" and await outputs.is_there(session, work.output):
        raise Refused(
            f"there is a file at {work.output}: the batch job would fail, because outputs are never"
            " overwritten. Give another URI, or none for a new path"
        )
    return work.output


@dataclass(frozen=True, kw_only=True)
class _Post:
    """The POST, and what follows from its answer."""

    session: Session
    jobs: EndpointJobs
    submission: Submission
    body: dict[str, Any]
    own_output: bool  # whether no other batch job can have this output

    async def send(self) -> str:
        """Return the name of the batch job."""
        endpoints = AzureBatchEndpoints(self.session.clients.ml, post_seconds=_POST_SECONDS)
        answer = await endpoints.post(
            self.jobs.about,
            self.body,
            tag=self.submission.tag,
            deployment=self.submission.deployment,
        )
        endpoint = f"endpoint {self.jobs.endpoint}"
        match answer:
            case Accepted(batch_job=name):
                return name
            case NotSent(message=why):
                raise Unavailable(f"{endpoint}: nothing was sent: {why}")
            case ErrorAnswer(status=status, message=why, retry_after=wait) if status == _THROTTLED:
                later = f"in {wait:.0f} s" if wait else "later"
                raise Unavailable(f"{endpoint}: {status}: {why}; try again {later}")
            case ErrorAnswer(status=status, message=why) if status in DEFINITE:
                raise Refused(f"{endpoint}: {status}: {why}", status=status)
            case ErrorAnswer(status=status, message=why):
                return await self._look(endpoints, f"{status}: {why}")
            case Unclear(message=why):
                return await self._look(endpoints, why)

    async def _look(self, endpoints: AzureBatchEndpoints, why: str) -> str:
        """Look once for the batch job, which may exist after an unclear answer."""
        found = await self._listed(endpoints)
        if not (found and self.own_output):
            raise OutcomeUnknown(self.outcome_unknown(why, found), **self.marks())
        console = self.session.console
        console.warn(f"the answer was unclear ({why}), but the listing shows the batch job")
        if others := ", ".join(found[1:]):
            console.warn(
                f"there are more with this output: {others}; cancel them with `job cancel`"
            )
        return found[0]

    async def _listed(self, endpoints: AzureBatchEndpoints) -> list[str]:
        output = self.submission.output_uri
        try:
            listed = await endpoints.batch_jobs(self.jobs.about) if output else []
        except LandfallError:
            return []
        return [
            job.name
            for job in listed
            if any(same_datastore_path(uri, output) for uri in job.outputs)
        ]

    def outcome_unknown(self, why: str, candidates: Sequence[str] = ()) -> str:
        """Return the message that says how to find out."""
        output = self.submission.output_uri
        by = f"the output {output}" if output else "its input and time"
        listed = f"; it lists with this output: {', '.join(candidates)}" if candidates else ""
        return (
            f"{why}: it is unknown whether there is a batch job. If so, `python -m scoring job list"
            f" --endpoint {self.jobs.endpoint}` shows it after a while: look for {by}{listed}. Look"
            " before you invoke again"
        )

    def marks(self) -> dict[str, Any]:
        """Return the fields by which the batch job can be found."""
        return {
            "endpoint": self.jobs.endpoint,
            "input": self.submission.input_uri,
            "output": self.submission.output_uri or None,
        }
