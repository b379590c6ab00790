"""The command `invoke`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from cyclopts import Group, Parameter

from scoring.cli.azureml.invoke.by_hand import Invoked, LoggingLevel, Work, invoke_by_hand
from scoring.cli.azureml.invoke.inputs import source
from scoring.cli.azureml.invoke.output_options import DEFAULTS, OutputOptions
from scoring.cli.azureml.job.waiting import completed, how_to_wait
from scoring.cli.console import Console
from scoring.cli.failures import UsageError
from scoring.cli.session import Needs, Session
from scoring.durations import read_duration
from scoring.routes.route import OutputKind, SubmissionFields

_SETTINGS = Group("Instead of the deployment's settings", sort_key=50)


@Parameter(name="*", group=_SETTINGS)
@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Settings of this batch job that replace those of the deployment."""

    instance_count: int | None = None
    """Number of instances."""
    mini_batch_size: int | None = None
    """Files in one call of the scoring script."""
    error_threshold: int | None = None
    """Files that may fail; -1: any number."""
    max_retries: int | None = None
    """Retries of one mini-batch."""
    timeout: str | None = None
    """Timeout of one mini-batch, e.g. 90s or 5m."""
    max_concurrency: int | None = None
    """Mini-batches at a time on an instance."""
    logging_level: LoggingLevel | None = None
    """Logging level of the scoring script."""
    output_file_name: str | None = None
    """Name of the output file; by default predictions.csv."""
    experiment_name: str | None = None
    """Experiment under which the studio shows the batch job."""


_AS_DEPLOYED = Overrides()


async def invoke(
    *,
    endpoint: str,
    deployment: str | None = None,
    file: str | None = None,
    folder: str | None = None,
    input_name: str = "input",
    output_name: str = "output",
    output_kind: OutputKind = "file",
    param: tuple[str, ...] = (),
    tag: tuple[str, ...] = (),
    wait: bool = False,
    overrides: Overrides = _AS_DEPLOYED,
    session: Annotated[Session, Needs],
    options: OutputOptions = DEFAULTS,
) -> None:
    """Score a file or a folder with one batch job.

    The request has only what is given here. It is sent once, and never repeated.

    Args:
        endpoint: The batch endpoint.
        deployment: A deployment other than the endpoint's default.
        file: What to score: a local path (which is uploaded), azureml:NAME:VERSION, an azureml://
            URI, the ARM id of a data asset, or https://….
        folder: The same for a folder; files in its subfolders are not scored.
        input_name: Name of a pipeline's input; models ignore it.
        output_name: Name of a pipeline's output.
        output_kind: Whether the output is a file or a folder; none: the service chooses the path.
        param: NAME=VALUE, a literal for a pipeline; may be repeated.
        tag: NAME=VALUE, a tag of the batch job; may be repeated.
        wait: Wait for the end; the exit code is 0 only if the batch job completes.
    """
    work = Work(
        endpoint=endpoint,
        source=source(file, folder),
        deployment=deployment,
        output=options.output_uri,
        output_kind=output_kind,
        fields=SubmissionFields(
            input_name=input_name,
            output_name=output_name,
            params=dict(pairs("--param", param)),
            instance_count=overrides.instance_count,
            mini_batch_size=overrides.mini_batch_size,
            error_threshold=overrides.error_threshold,
            max_retries=overrides.max_retries,
            timeout=_duration(overrides.timeout),
        ),
        max_concurrency=overrides.max_concurrency,
        logging_level=overrides.logging_level,
        output_file_name=overrides.output_file_name,
        experiment_name=overrides.experiment_name,
        tags=pairs("--tag", tag),
    )
    invoked = await invoke_by_hand(session, work)
    _show(session.console, invoked)
    if not wait:
        session.console.show(f"wait       {how_to_wait(endpoint, invoked.batch_job)}")
        session.console.result(**invoked.plain())
        return
    ended = await completed(invoked.jobs, invoked.batch_job, session.console)
    session.console.show(f"state      {ended.described.state}")
    session.console.result(**{**invoked.plain(), **ended.plain()})


def pairs(option: str, arguments: tuple[str, ...]) -> dict[str, str]:
    """Read arguments of the form NAME=VALUE.

    Raises:
        UsageError: one has another form, or a name is given twice.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not (name and equals):
            raise UsageError(f"{option} {argument}: expected NAME=VALUE")
        if name in found:
            raise UsageError(f"{option} {name}: it is given twice")
        found[name] = value
    return found


def _duration(text: str | None) -> timedelta | None:
    try:
        return None if text is None else read_duration(text)
    except ValueError as mistake:
        raise UsageError(f"--timeout {text}: {mistake}") from None


def _show(console: Console, invoked: Invoked) -> None:
    console.show(
        f"batch job  {invoked.batch_job}",
        f"input      {invoked.input}",
        f"output     {invoked.output or 'chosen by the service'}",
    )
