"""The checks of `doctor`: each yields its findings.

Nothing is submitted, no message is put or read, no event is published. One blob of the ledger is
written and, with `--write`, one below each output path; each is deleted at once.
"""

from collections.abc import AsyncIterator, Callable

from scoring.cli.landfall.doctor.checks import (
    containers,
    ledger,
    queues,
    set_up,
    tokens,
    topic,
    workspace,
)
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import Finding, NotChecked, describe

Check = Callable[[Facts], AsyncIterator[Finding]]

CHECKS: dict[str, Check] = {
    "settings": set_up.settings,
    "host.json": set_up.host_file,
    "route": set_up.routes,
    "token": tokens.tokens,
    "workspace": workspace.workspace,
    "datastore": workspace.datastores,
    "landing path": containers.landing_paths,
    "output path": containers.output_paths,
    "endpoint": workspace.endpoints,
    "deployment": workspace.deployments,
    "queue": queues.queues,
    "ledger": ledger.ledger,
    "topic": topic.topic,
}
"""In the order in which they run: later ones build on what earlier ones found."""


async def run(name: str, check: Check, facts: Facts) -> list[Finding]:
    """Run one check; a failure of it is a finding, too."""
    found: list[Finding] = []
    try:
        async for one in check(facts):
            found.append(one)  # noqa: PERF401 - what it found before it failed counts
    except NotChecked as reason:
        found.append(Finding(check=name, subject="all", state="not-checked", message=str(reason)))
    except Exception as failure:  # noqa: BLE001 - the other checks run all the same
        message = describe(failure)
        found.append(Finding(check=name, subject="all", state="wrong", message=message))
    return found
