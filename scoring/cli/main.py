"""The commands, and how a run of one ends."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from scoring.cli.azureml import data
from scoring.cli.azureml.delete import delete
from scoring.cli.azureml.deploy.command import deploy
from scoring.cli.azureml.invoke.command import invoke
from scoring.cli.azureml.job.commands import job
from scoring.cli.azureml.walk import walk
from scoring.cli.console import Console
from scoring.cli.failures import Exit, Failure, Interrupted, UsageError, as_failure
from scoring.cli.landfall.doctor.command import doctor
from scoring.cli.landfall.ledger import commands as ledger
from scoring.cli.landfall.route.command import route
from scoring.cli.session import (
    DEFAULTS,
    AppSettings,
    LedgerSession,
    Session,
    WorkspaceOptions,
    environment,
    open_ledger_session,
    open_session,
)
from scoring.errors import LandfallError
from scoring.version import VERSION

app = App(
    name="python -m scoring",
    help="Deploy models to batch endpoints, score by hand, and look after Landfall's jobs.",
    version=VERSION,
    version_flags=[],  # what commands have; `--version` of `data create` is the asset's
    default_parameter=Parameter(negative=()),  # no --no-…: flags are off unless they are given
)
app.command(deploy)
app.command(walk)
app.command(data.app)
app.command(invoke)
app.command(job)
app.command(delete)
app.command(doctor)
app.command(route)
app.command(ledger.app)
app.version_flags = ["--version"]  # last, so that no command has it


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    console = Console()
    try:
        return asyncio.run(_run(arguments, console))
    except CycloptsError as mistake:
        console.as_json = _asks_for_json(arguments)
        return console.fail(UsageError(f"{mistake} --help lists what there is."))
    except Failure as failure:
        return console.fail(failure)
    except LandfallError as error:
        return console.fail(as_failure(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return console.fail(Interrupted())
    except Exception as bug:
        console.broke(bug)
        raise  # the traceback says where


def _asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line that cannot be parsed asks for JSON."""
    in_one = {f"{option}{between}json" for option in ("--output", "-o") for between in ("=", "")}
    in_two = itertools.pairwise(arguments)
    return not in_one.isdisjoint(arguments) or any(
        option in ("--output", "-o") and value == "json" for option, value in in_two
    )


async def _run(arguments: Sequence[str], console: Console) -> Exit:
    """Run a command, and return its exit code: DONE unless it returns one itself."""
    command, bound, needs = app.parse_args(arguments, exit_on_error=False, print_error=False)
    options: WorkspaceOptions = bound.arguments.get("options", DEFAULTS)
    console.as_json = options.as_json
    async with contextlib.AsyncExitStack() as running:
        for name, kind in needs.items():
            bound.arguments[name] = await _open(kind, console, options, running)
        result = command(*bound.args, **bound.kwargs)
        if asyncio.iscoroutine(result):  # --help is none
            result = await result
    return result if isinstance(result, Exit) else Exit.DONE


async def _open(
    kind: Any, console: Console, options: WorkspaceOptions, running: contextlib.AsyncExitStack
) -> Any:
    """Open what a command needs; `running` closes it when the command ends."""
    if kind is Session:
        return await running.enter_async_context(open_session(console, environment(options)))
    if kind is AppSettings:
        values = environment(options)
        return AppSettings(console=console, values=values, routes_file=options.routes)
    if kind is LedgerSession:
        session = open_ledger_session(console, environment(options), options.routes)
        return await running.enter_async_context(session)
    raise TypeError(f"a command cannot be given a {kind}")
