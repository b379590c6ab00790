"""The command `walk`: from model files to scored results."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from scoring.cli.azureml.deploy import command as deploy
from scoring.cli.azureml.deploy.apply import apply, said_in
from scoring.cli.azureml.deploy.yaml_files import YamlFile
from scoring.cli.azureml.deploy.yaml_schema import Deployment
from scoring.cli.azureml.invoke.by_hand import Work, invoke_by_hand
from scoring.cli.azureml.invoke.inputs import source
from scoring.cli.azureml.job.commands import fetched
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
    """Walk the whole way: deploy, make it the default, score, wait, and show the results.

    It does what `deploy --set-default`, `invoke --wait` and `job results` do, one after the other.

    Args:
        files: YAML files of the Azure ML CLI v2, with one batch deployment among them.
        file: What is scored, as `invoke` takes it.
        folder: The same for a folder.
        to: The folder that the results go to; else one with the name of the batch job.
        rows: How many rows are shown.
        force: Replace files that are there already.
    """
    said = said_in(session, files)
    only = _only_deployment(said)
    if to is not None and not force:
        _check_free(to)
    work = Work(endpoint=only.endpoint_name, source=source(file, folder), deployment=only.name)
    done = await apply(session, said, set_default=True)
    deploy.show(session.console, done)
    invoked = await invoke_by_hand(session, work)
    ended = await completed(invoked.jobs, invoked.batch_job, session.console)
    session.console.show("", f"batch job  {invoked.batch_job}: {ended.described.state}", "")
    got = await fetched(
        session, ended.described, to or Path(invoked.batch_job), rows=rows, force=force
    )
    session.console.result(**deploy.plain(done), **{**invoked.plain(), **ended.plain(), **got})


def _check_free(to: Path) -> None:
    """Say before a batch job is paid for that its results have no place."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to {to}: something is there: say --force to replace files, or another")


def _only_deployment(files: list[YamlFile]) -> Deployment:
    found = [one.document for one in files if isinstance(one.document, Deployment)]
    if len(found) != 1:
        raise UsageError(
            f"the files describe {len(found)} deployments: name those of one, which is then scored"
            " with"
        )
    return found[0]
