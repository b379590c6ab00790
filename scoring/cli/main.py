"""The list of the commands, and how each run of one ends."""

import asyncio
import contextlib
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from scoring.cli.console import Console
from scoring.cli.doctor import doctor
from scoring.cli.failures import Exit, Failure, Interrupted, UsageError, as_failure
from scoring.cli.route import route
from scoring.cli.session import DEFAULTS, AppSettings, Options, Session, environment, opened
from scoring.errors import LandfallError

app = App(
    name="python -m scoring",
    help="Deploy models to batch endpoints, score by hand, and look after Landfall's jobs.",
    version_flags=[],
)

app.command(doctor)
app.command(route)


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    console = Console()
    try:
        return asyncio.run(_run(arguments, console))
    except CycloptsError as mistake:
        console.as_json = "json" in arguments
        return console.fail(UsageError(f"{mistake} --help lists what there is."))
    except Failure as failure:
        return console.fail(failure)
    except LandfallError as error:
        return console.fail(as_failure(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return console.fail(Interrupted())


async def _run(arguments: Sequence[str], console: Console) -> Exit:
    """Run a command; one whose result is itself good or bad news returns an exit code."""
    command, bound, needs = app.parse_args(arguments, exit_on_error=False, print_error=False)
    options: Options = bound.arguments.get("options", DEFAULTS)
    console.as_json = options.output == "json"
    async with contextlib.AsyncExitStack() as running:
        for name, kind in needs.items():
            if kind is AppSettings:
                values = environment(options)
                bound.arguments[name] = AppSettings(console=console, values=values)
            if kind is Session:
                session = opened(console, environment(options))
                bound.arguments[name] = await running.enter_async_context(session)
        said = command(*bound.args, **bound.kwargs)
        if asyncio.iscoroutine(said):  # --help is none
            said = await said
    return said if isinstance(said, Exit) else Exit.DONE
