"""The list of the commands, and how each run of one ends."""

import asyncio
import contextlib
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from scoring.cli.console import Console
from scoring.cli.failures import Exit, Failure, Interrupted, UsageError, as_failure
from scoring.cli.invoke import invoke
from scoring.cli.job import job
from scoring.cli.output_options import OutputOptions
from scoring.cli.session import DEFAULTS, Options, Session, environment, opened
from scoring.errors import LandfallError

app = App(
    name="python -m scoring",
    help="Deploy models to batch endpoints, score by hand, and look after Landfall's jobs.",
    version_flags=[],
)
app.command(invoke)
app.command(job)


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    console = Console()
    try:
        asyncio.run(_run(arguments, console))
    except CycloptsError as mistake:
        console.as_json = "json" in arguments
        return console.fail(UsageError(f"{mistake} --help lists what there is."))
    except Failure as failure:
        return console.fail(failure)
    except LandfallError as error:
        return console.fail(as_failure(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return console.fail(Interrupted())
    return Exit.DONE


async def _run(arguments: Sequence[str], console: Console) -> None:
    command, bound, needs = app.parse_args(arguments, exit_on_error=False, print_error=False)
    options: Options | OutputOptions = bound.arguments.get("options", DEFAULTS)
    console.as_json = options.as_json
    async with contextlib.AsyncExitStack() as running:
        for name, kind in needs.items():
            if kind is Session:
                session = opened(console, environment(options))
                bound.arguments[name] = await running.enter_async_context(session)
        said = command(*bound.args, **bound.kwargs)
        if asyncio.iscoroutine(said):  # --help is none
            await said
