"""The commands `job …`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from cyclopts import App
from rich.table import Table
from rich.text import Text

from scoring.cli.azureml.job.endpoint_jobs import Described, EndpointJobs, endpoint_jobs
from scoring.cli.azureml.job.results import download, found
from scoring.cli.azureml.job.rows import first_rows
from scoring.cli.azureml.job.waiting import completed
from scoring.cli.failures import Refused
from scoring.cli.session import DEFAULTS, Limit, Needs, Options, Session
from scoring.jobs.batch_job import JobState
from scoring.uris import datastore_path

_NEVER_CUT = 3  # columns of a listing

job = App(
    name="job",
    help="Show and cancel an endpoint's batch jobs, wait for one, get its results.",
    version_flags=[],
)


@job.command
async def show(
    name: str,
    /,
    *,
    endpoint: str,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Show a batch job.

    Args:
        name: Name of the batch job.
        endpoint: The batch endpoint that it was submitted to.
    """
    described = await (await endpoint_jobs(session, endpoint)).get(name)
    session.console.show(_details(described.plain()))
    session.console.result(**described.plain())


@job.command
async def wait(
    name: str,
    /,
    *,
    endpoint: str,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Wait for the end of a batch job; the exit code is 0 only if it completes.

    Args:
        name: Name of the batch job.
        endpoint: The batch endpoint that it was submitted to.
    """
    jobs = await endpoint_jobs(session, endpoint)
    await jobs.get(name)  # a wrong name is reported at once
    ended = await completed(jobs, name, session.console)
    session.console.show(_details(ended.described.plain()))
    session.console.result(**ended.plain())


@job.command
async def cancel(
    name: str,
    /,
    *,
    endpoint: str,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Request the cancel of a batch job; `job wait` shows its end.

    Args:
        name: Name of the batch job.
        endpoint: The batch endpoint that it was submitted to.
    """
    jobs = await endpoint_jobs(session, endpoint)
    described = await jobs.get(name)
    if described.job.state.ended:
        raise Refused(f"batch job {name} has ended: {described.state}", **described.plain())
    await session.arm.post(f"jobs/{quote(name, safe='')}/cancel")
    described = await jobs.get(name)
    session.console.show(f"cancel requested; the batch job is now {described.state}")
    session.console.result(**described.plain())


@job.command(name="list")
async def list_(
    *,
    endpoint: str,
    state: str | None = None,
    limit: Limit = 50,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """List the batch jobs of an endpoint, the newest first.

    Args:
        endpoint: The batch endpoint.
        state: Only batch jobs in this state, e.g. Running.
        limit: At most this many.
    """
    chosen = await listed(await endpoint_jobs(session, endpoint), state)
    shown = chosen[:limit]
    session.console.show(_table(shown) if shown else "no batch jobs")
    if len(chosen) > len(shown):
        session.console.note(f"{len(chosen) - len(shown)} more: raise --limit to list them")
    session.console.result(batch_jobs=[one.plain() for one in shown], total=len(chosen))


async def listed(jobs: EndpointJobs, state: str | None) -> list[Described]:
    """Return the batch jobs in a state, the newest first, then those of unknown age."""
    chosen = [
        one async for one in jobs.listed() if state is None or one.state.lower() == state.lower()
    ]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(chosen, key=lambda one: one.created or never, reverse=True)


@job.command
async def results(
    name: str,
    /,
    *,
    endpoint: str,
    to: Path | None = None,
    rows: int = 10,
    force: bool = False,
    session: Annotated[Session, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Download the output of a batch job and show its first rows.

    Args:
        name: Name of the batch job.
        endpoint: The batch endpoint that it was submitted to.
        to: The folder for the files; by default one with the name of the batch job.
        rows: How many rows to show.
        force: Replace existing files.
    """
    described = await (await endpoint_jobs(session, endpoint)).get(name)
    if not described.job.state.ended:
        raise Refused(
            f"batch job {name} is {described.state}: it has no output yet",
            **described.plain(),
        )
    if described.job.state is not JobState.COMPLETED:
        session.console.warn(f"batch job {name} is {described.state}: its output may be incomplete")
    fetched = await fetch(session, described, to or Path(name), rows=rows, force=force)
    session.console.result(**described.plain(), **fetched)


async def fetch(
    session: Session, described: Described, to: Path, *, rows: int, force: bool
) -> dict[str, Any]:
    """Download an output into a folder and show its first rows; return it for programs."""
    output = await found(session, described)
    files = await download(output, to, session.console, force=force)
    where = {"uri": output.uri, "url": output.url, "files": list(map(str, files))}
    first = first_rows(files[0], max(0, rows))
    session.console.show(_details(where))
    if rows > 0:
        session.console.show(_grid(first) if first else "it has no rows")
    return {**where, "rows": first}


def _details(document: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in document.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                table.add_row(name.replace("_", " "), Text(_text(one), overflow="fold"))
    return table


def _table(shown: list[Described]) -> Table:
    """Return a table with a line for each; a narrow terminal cuts inputs and outputs."""
    rows = [(one.job.name, one.state, _text(one.created), *_data(one)) for one in shown]
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(("batch job", "state", "created", "input", "output")):
        widest = max(len(row[number]) for row in rows)
        table.add_column(name, no_wrap=True, min_width=widest if number < _NEVER_CUT else None)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _data(one: Described) -> tuple[str, str]:
    plain = one.plain()
    inputs, outputs = (", ".join(map(_short, plain[name])) for name in ("inputs", "outputs"))
    return inputs, outputs


def _short(uri: str) -> str:
    place = datastore_path(uri)
    return "/".join(place) if place else uri


def _grid(rows: list[list[str]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return "" if value is None else str(value)
