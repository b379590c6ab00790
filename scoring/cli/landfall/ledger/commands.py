"""`ledger …`: Landfall's jobs, to look at and to act on by hand."""

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

app = App(
    name="ledger", help="Landfall's jobs, to look at and to act on by hand.", version_flags=[]
)


def _moment(_: Any, tokens: Sequence[Token]) -> datetime:
    """Read a time, or how long ago it was."""
    text = tokens[0].value
    try:
        return datetime.now(UTC) - read_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        what = "a time like 2026-11-25T13:00, or how long ago like 90m, 2h or 3d"
        raise ValueError(f'"{text}" must be {what}.') from None  # cyclopts tells it
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
        state: Only these; say it once for each.
        route: Only of this route.
        path: Only paths that begin so.
        since: Only what came into its state then or later: a time, or how long ago, like 2h.
        until: Only what did before.
        limit: At most so many.
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
        since: Only what happened then or later; a large ledger is searched faster so.
        limit: At most so many.
    """
    found = await rows(session.services, Wanted(name=name, since=since), limit)
    if not found:
        raise Refused(f"the ledger knows no job whose path holds {name!r}")
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
        job: Its key, as log lines, events and `ledger list` name it.
    """
    told = await history(session.services, job)
    for name, value in told.facts.items():
        session.console.show(f"{name:12} {value}")
    session.console.show("")
    for moment, what in told.steps:
        session.console.show(f"{moment:%Y-%m-%d %H:%M:%S}  {what}")
    steps = [{"time": moment, "what": what} for moment, what in told.steps]
    session.console.result(**told.facts, history=steps, document=told.document)


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
    """Score what lies in storage and was not scored; with --again also what was.

    What is scored again gets a job with a key, an output and an event of its own. The same request
    twice does nothing more than once, so an interrupted replay is simply repeated.

    Args:
        path: A file, or a prefix of paths on the routes' datastores.
        route: Only this route.
        since: Only what was written then or later: a time, or how long ago, like 2h.
        until: Only what was written before.
        again: Also what has ended, or landed before the ledger's retention.
        request: A name for --again; today's date if none is given. A new name scores once more.
        dry_run: Say what would be done.
        yes: Do not ask.
    """
    if not (path or since):
        raise UsageError(
            "say which: a path, a prefix, or --since; all that lies there is no choice"
        )
    if request and not again:
        raise UsageError("--request names what is scored --again: say that, too")
    routes = _routes(session.services, route)
    name = (request or f"{datetime.now(UTC):%Y-%m-%d}") if again else None
    if again and not (yes or dry_run):
        session.console.confirm(f"Score again all below {path or 'every route'}?")
    worker = Replay(session.services, request=name, dry_run=dry_run)
    replayed: list[Replayed] = []
    with session.console.bar("looking") as bar:
        for one in routes:
            async for done in worker.below(one, path, since, until):
                replayed.append(done)
                bar.say(f"{len(replayed)} looked at; {done.what}: {done.path}")
    if not replayed:
        raise Refused(f"no route takes anything that lies below {path!r} and was written then")
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
    """Settle by hand a job of which nobody knows whether the endpoint took it.

    Args:
        job: Its key.
        adopt: This batch job is the attempt's.
        lost: There is none, and never will be; another attempt follows, as far as there are any.
        dry_run: Say what would be done.
    """
    if bool(adopt) == lost:
        raise UsageError("say either --adopt BATCH-JOB or --lost")
    if adopt:
        await operators.adopt(session.services, job, adopt, dry_run=dry_run)
        follows = f"its batch job is {adopt}"
    else:
        follows = await operators.declare_lost(session.services, job, dry_run=dry_run)
    _say(session.console, job, follows, dry_run=dry_run)


@app.command
async def cancel(
    job: str,
    /,
    *,
    dry_run: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Cancel a job; its event says `canceled`, unless it completes all the same.

    Args:
        job: Its key.
        dry_run: Say what would be done.
    """
    follows = await operators.cancel(session.services, job, dry_run=dry_run)
    _say(session.console, job, follows, dry_run=dry_run)


@app.command
async def release(
    digest: str,
    /,
    *,
    dry_run: bool = False,
    session: Annotated[LedgerSession, Needs],
    options: Options = DEFAULTS,
) -> None:
    """Take a message out of quarantine, now that it can be understood.

    Args:
        digest: Its name below quarantine/, or how that begins.
        dry_run: Say what would be done.
    """
    events = await operators.release(session.services, digest, dry_run=dry_run)
    would = "would be " if dry_run else ""
    session.console.show(f"{digest}: {events} events {would}taken")
    session.console.result(digest=digest, events=events, dry_run=dry_run)


def _routes(services: Services, name: str | None) -> list[Route]:
    chosen = [one for one in services.routes if name in (None, one.name)]
    if not chosen:
        known = ", ".join(one.name for one in services.routes) or "none"
        raise UsageError(f"there is no route {name!r}; there is {known}")
    return chosen


def _say(console: Console, job: str, follows: str, *, dry_run: bool) -> None:
    console.show(f"{job}: {'would be so: ' if dry_run else ''}{follows}")
    console.result(job=job, follows=follows, dry_run=dry_run)


def _show_rows(console: Console, found: list[Row]) -> None:
    table = _table("job", "state", "since", "route", "path", "attempt", "reason")
    for row in found:
        since = f"{row.since:%Y-%m-%d %H:%M:%S}"
        state = row.state
        table.add_row(row.job, state, since, row.route, row.path, str(row.attempt), row.reason)
    console.show(table if found else "no job is as asked for")
    console.result(jobs=msgspec.to_builtins(found))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
