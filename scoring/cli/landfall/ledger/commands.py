"""The commands `ledger …`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter, Token
from rich.table import Table

from scoring.cli.console import Console
from scoring.cli.failures import Refused, UsageError
from scoring.cli.landfall.ledger import operators
from scoring.cli.landfall.ledger.history import history
from scoring.cli.landfall.ledger.replay import Replay, Replayed
from scoring.cli.landfall.ledger.rows import Row, Wanted, rows
from scoring.cli.session import DEFAULTS, LedgerSession, Limit, Needs, Options
from scoring.durations import read_duration
from scoring.ports import Services
from scoring.routes.route import Route

app = App(name="ledger", help="Show and change Landfall's jobs.", version_flags=[])


def _moment(_: Any, tokens: Sequence[Token]) -> datetime:
    """Read a time, or how long ago it was, like 2h."""
    text = tokens[0].value
    try:
        return datetime.now(UTC) - read_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        what = "a time like 2026-11-25T13:00, or how long ago like 90m, 2h or 3d"
        raise ValueError(f'"{text}" must be {what}.') from None  # cyclopts reports it
    else:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


State = Literal[
    "pending", "submitting", "submitted", "unknown", "ended",
    "completed", "failed", "canceled", "timed-out", "rejected", "superseded",
]  # fmt: skip
Moment = Annotated[datetime | None, Parameter(converter=_moment, metavar="TIME")]


@app.command(name="list")
async def list_(
    *,
    state: tuple[State, ...] = (),
    route: str | None = None,
    path: str = "",
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 50,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """List jobs, open and ended, the newest first.

    Args:
        state: Only jobs in this state; may be repeated.
        route: Only jobs of this route.
        path: Only jobs whose path begins with this.
        since: Only jobs that entered their state then or later: a time, or how long ago, like 2h.
        until: Only jobs that entered it before.
        limit: At most this many.
    """
    wanted = Wanted(states=frozenset(state), route=route, prefix=path, since=since, until=until)
    _show_rows(session.console, await rows(session.services, wanted, limit))


@app.command
async def find(
    name: str,
    /,
    *,
    since: Moment = None,
    limit: Limit = 50,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Find the jobs of a file or folder by its name, the newest first.

    Args:
        name: A part of the path; or the whole path of a file whose folder was scored.
        since: Only jobs that entered their state then or later; this makes the search faster.
        limit: At most this many.
    """
    found = await rows(session.services, Wanted(name=name, since=since), limit)
    if not found:
        raise Refused(f"the ledger has no job whose path contains {name!r}")
    _show_rows(session.console, found)


@app.command
async def show(
    job: str,
    /,
    *,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Show a job with its history.

    Args:
        job: Its key, as in log lines, events and `ledger list`.
    """
    found = await history(session.services, job)
    for name, value in found.facts.items():
        session.console.show(f"{name:12} {value}")
    session.console.show("")
    for moment, what in found.steps:
        session.console.show(f"{moment:%Y-%m-%d %H:%M:%S}  {what}")
    steps = [{"time": moment, "what": what} for moment, what in found.steps]
    session.console.result(**found.facts, history=steps, document=found.document)


@app.command
async def replay(
    path: str = "",
    /,
    *,
    route: str | None = None,
    since: Moment = None,
    until: Moment = None,
    again: bool = False,
    request: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Score files that are in storage and were not scored; with --again also those that were.

    A file that is scored again gets a new job, with its own key, output and event. Running the same
    request twice has no further effect, so repeat a replay that was interrupted.

    Args:
        path: A file, or a prefix of paths on the routes' datastores.
        route: Only this route.
        since: Only files that were written then or later: a time, or how long ago, like 2h.
        until: Only files that were written before.
        again: Also files whose job has ended, or that landed before the ledger's retention.
        request: A name for --again; by default today's date. A new name scores once more.
        dry_run: Only print what would be done.
        yes: Do not ask for confirmation.
    """
    if not (path or since):
        raise UsageError("name the files: give a path, a prefix of paths, or --since")
    if request and not again:
        raise UsageError("--request is for --again: give both")
    routes = _routes(session.services, route)
    name = (request or f"{datetime.now(UTC):%Y-%m-%d}") if again else None
    if again and not (yes or dry_run):
        session.console.confirm(f"Score everything below {path or 'every route'} again?")
    worker = Replay(session.services, request=name, dry_run=dry_run)
    replayed: list[Replayed] = []
    with session.console.bar("looking") as bar:
        for one in routes:
            async for done in worker.below(one, path, since, until):
                replayed.append(done)
                bar.describe(f"{len(replayed)} looked at; {done.what}: {done.path}")
    if not replayed:
        raise Refused(f"no route matches a file below {path!r} that was written then")
    table = _table("what", "job", "route", "path")
    for done in replayed:
        table.add_row(done.what, done.job, done.route, done.path)
    session.console.show(table)
    session.console.result(replayed=msgspec.to_builtins(replayed), dry_run=dry_run)


@app.command
async def settle(
    job: str,
    /,
    *,
    adopt: str | None = None,
    lost: bool = False,
    dry_run: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Settle a job when it is unknown whether the endpoint accepted it.

    Args:
        job: Its key.
        adopt: The batch job that belongs to the attempt.
        lost: There is no batch job and never will be; the next attempt follows, if any is left.
        dry_run: Only print what would be done.
    """
    if bool(adopt) == lost:
        raise UsageError("give either --adopt BATCH-JOB or --lost")
    if adopt:
        await operators.adopt(session.services, job, adopt, dry_run=dry_run)
        follows = f"its batch job is {adopt}"
    else:
        follows = await operators.declare_lost(session.services, job, dry_run=dry_run)
    _show_effect(session.console, job, follows, dry_run=dry_run)


@app.command
async def cancel(
    job: str,
    /,
    *,
    dry_run: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Cancel a job. Its event says `canceled`, unless the batch job still completes.

    Args:
        job: Its key.
        dry_run: Only print what would be done.
    """
    follows = await operators.cancel(session.services, job, dry_run=dry_run)
    _show_effect(session.console, job, follows, dry_run=dry_run)


@app.command
async def release(
    digest: str,
    /,
    *,
    dry_run: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Process a message from quarantine, now that it can be understood.

    Args:
        digest: Its name below quarantine/, or the beginning of it.
        dry_run: Only print what would be done.
    """
    events = await operators.release(session.services, digest, dry_run=dry_run)
    would = "would be " if dry_run else ""
    session.console.show(f"{digest}: {events} events {would}processed")
    session.console.result(digest=digest, events=events, dry_run=dry_run)


def _routes(services: Services, name: str | None) -> list[Route]:
    chosen = [route for route in services.routes if name in (None, route.name)]
    if not chosen:
        known = ", ".join(route.name for route in services.routes) or "none"
        raise UsageError(f"there is no route {name!r}; the routes are: {known}")
    return chosen


def _show_effect(console: Console, job: str, follows: str, *, dry_run: bool) -> None:
    console.show(f"{job}: {'it would be: ' if dry_run else ''}{follows}")
    console.result(job=job, follows=follows, dry_run=dry_run)


def _show_rows(console: Console, found: list[Row]) -> None:
    table = _table("job", "state", "since", "route", "path", "attempt", "reason")
    for row in found:
        since = f"{row.since:%Y-%m-%d %H:%M:%S}"
        state = row.state
        table.add_row(row.job, state, since, row.route, row.path, str(row.attempt), row.reason)
    console.show(table if found else "no matching jobs")
    console.result(jobs=msgspec.to_builtins(found))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
