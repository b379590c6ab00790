"""The command `deploy`."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.filesize import decimal
from rich.table import Table

from scoring.cli.azureml.deploy.apply import Deployed, Outcome
from scoring.cli.azureml.deploy.apply import deploy as deploy_files
from scoring.cli.azureml.deploy.resources import Request
from scoring.cli.console import Console
from scoring.cli.session import DEFAULTS, Needs, Options, Session


async def deploy(
    *files: Annotated[Path, Parameter(required=True)],
    session: Annotated[Session, Needs],
    set_default: bool = False,
    dry_run: bool = False,
    options: Options = DEFAULTS,
) -> None:
    """Bring the workspace to the state that YAML files of the Azure ML CLI v2 describe.

    The files describe batch endpoints, batch deployments of models, models, environments, data and
    compute clusters, in any order. Resources that are as described are not changed.

    Args:
        files: The YAML files; a path in a file is relative to it.
        set_default: Make each deployment the default one of its endpoint.
        dry_run: Change nothing; print the requests that would be sent.
    """
    done = await deploy_files(session, list(files), set_default=set_default, dry_run=dry_run)
    if dry_run:
        for request in done.requests:
            session.console.show(_shown(request))
    show(session.console, done)
    if dry_run and done.changed:
        session.console.show("nothing was changed: this was a dry run")
    requests = [msgspec.to_builtins(request) for request in done.requests]
    session.console.result(
        **plain(done), dry_run=dry_run, **({"requests": requests} if dry_run else {})
    )


def show(console: Console, done: Deployed) -> None:
    """Print what was done to all resources."""
    console.show(_table(done.resources))
    if not done.changed:
        console.show("nothing changed: everything is as described")


def plain(done: Deployed) -> dict[str, Any]:
    """Return the result for programs."""
    return {"resources": [_plain(one) for one in done.resources]}


def _table(resources: list[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("kind", "name", "version", "change"):
        table.add_column(heading, overflow="fold")
    for one in resources:
        table.add_row(one.kind, one.name, one.version or "", _change(one))
    return table


def _change(one: Outcome) -> str:
    if one.uploaded is None:
        return one.change
    sent, size = one.uploaded.sent_files, decimal(one.uploaded.sent_bytes)
    there = one.uploaded.files - sent
    return f"{one.change}, uploaded {_files(sent)}, {size}" + (
        f"; {_files(there)} there already" if there else ""
    )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _plain(one: Outcome) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "kind": one.kind,
        "name": one.name,
        "version": one.version,
        "id": one.id,
        "change": one.change,
    }
    if one.uploaded is not None:
        plain["uploaded"] = {
            "files": one.uploaded.sent_files,
            "bytes": one.uploaded.sent_bytes,
            "url": one.uploaded.url,
        }
    return plain


def _shown(request: Request) -> str:
    body = msgspec.json.format(msgspec.json.encode(request.body), indent=2).decode()
    return f"{request.method} {request.path}\n{body}\n"
