"""The command `doctor`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from rich.text import Text

from scoring.cli.failures import Exit
from scoring.cli.landfall.doctor.checks import CHECKS, run
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import Finding, State
from scoring.cli.session import DEFAULTS, AppSettings, Needs, Options
from scoring.services import ROUTES_FILE

HOST_FILE = ROUTES_FILE.parent / "host.json"

_STYLES: dict[State, str] = {
    "fine": "green",
    "warning": "yellow",
    "wrong": "red",
    "not-checked": "dim",
}


async def doctor(
    *,
    app: Annotated[AppSettings, Needs],
    write: bool = False,
    options: Options = DEFAULTS,
) -> Exit:
    """Check everything that the service needs before the first file.

    It is safe in production: nothing is submitted, published or put into a queue. One blob of
    the ledger is written and deleted.

    Args:
        write: Also write a blob where each route's outputs go, and delete it at once. Subscribers
            to events of that path see it.
    """
    with app.console.bar("checking") as bar:
        found = await examine(app.values, app.routes_file, write=write, report=bar.describe)
    wrong = sum(one.state == "wrong" for one in found)
    app.console.show(*map(_line, found), f"{wrong} wrong" if wrong else "nothing is wrong")
    app.console.result(findings=[msgspec.to_builtins(one) for one in found], wrong=wrong)
    return Exit.REFUSED if wrong else Exit.DONE


async def examine(
    environment: Mapping[str, str],
    routes_file: Path,
    *,
    write: bool = False,
    host_file: Path = HOST_FILE,
    report: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """Run all checks; `report` is called with the name of each before it runs."""
    facts = Facts(
        environment=environment, routes_file=routes_file, host_file=host_file, write=write
    )
    found: list[Finding] = []
    try:
        for name, check in CHECKS.items():
            report(f"checking: {name}")
            found += await run(name, check, facts)
    finally:
        await facts.close()
    return found


def _line(one: Finding) -> Text:
    line = f"{one.state.replace('-', ' '):<11}  {one.check:<12}  {one.subject}: {one.message}"
    return Text(line, style=_STYLES[one.state])
