"""The command `walk`: from model files to scored results."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from scoring.cli.azureml.deploy.apply import apply, parse
from scoring.cli.azureml.deploy.command import plain, show
from scoring.cli.azureml.deploy.yaml_files import YamlFile
from scoring.cli.azureml.deploy.yaml_schema import Deployment
from scoring.cli.azureml.invoke.by_hand import Work, invoke_by_hand
from scoring.cli.azureml.invoke.inputs import source
from scoring.cli.azureml.job.commands import fetch
from scoring.cli.azureml.job.waiting import completed
from scoring.cli.failures import UsageError
from scoring.cli.session import DEFAULTS, Needs, Options, Session


async def walk(
    *files: Annotated[Path, Parameter(required=True)],
    file: str | None = None,
    folder: str | None = None,
    to: Path | None = None,
    rows: int = 10,
    force: bool = False,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Deploy a model, make it the default, score, wait, and show the results.

    It does what `deploy --set-default`, `invoke --wait` and `job results` do, one after the other.

    Args:
        files: YAML files of the Azure ML CLI v2, with one batch deployment among them.
        file: What to score, as for `invoke`.
        folder: The same for a folder.
        to: The folder for the results; by default one with the name of the batch job.
        rows: How many rows to show.
        force: Replace existing files.
    """
    parsed = parse(session, files)
    only = _only_deployment(parsed)
    if to is not None and not force:
        _check_free(to)
    work = Work(endpoint=only.endpoint_name, source=source(file, folder), deployment=only.name)
    done = await apply(session, parsed, set_default=True)
    show(session.console, done)
    invoked = await invoke_by_hand(session, work)
    ended = await completed(invoked.jobs, invoked.batch_job, session.console)
    session.console.show("", f"batch job  {invoked.batch_job}: {ended.described.state}", "")
    fetched = await fetch(
        session, ended.described, to or Path(invoked.batch_job), rows=rows, force=force
    )
    session.console.result(**plain(done), **{**invoked.plain(), **ended.plain(), **fetched})


def _check_free(to: Path) -> None:
    """Refuse a folder that is not empty before a batch job is paid for."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(
            f"--to {to}: it is not an empty folder: use --force to replace files, or name another"
        )


def _only_deployment(files: list[YamlFile]) -> Deployment:
    found = [one.document for one in files if isinstance(one.document, Deployment)]
    if len(found) != 1:
        raise UsageError(
            f"the files describe {len(found)} deployments: name those of exactly one, which scores"
        )
    return found[0]
