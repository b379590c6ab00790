"""What `doctor` looks at: small checks, each of which yields what it finds.

Nothing is submitted, no message is put or read, no event is published. What is written is a blob
of the ledger and, if it is wished, one below each output path; each is deleted at once.
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
"""In their order: later ones build on what earlier ones found out."""


async def made(name: str, check: Check, facts: Facts) -> list[Finding]:
    """Make one check, however it ends."""
    found: list[Finding] = []
    try:
        async for one in check(facts):
            found.append(one)  # noqa: PERF401 - what was found before it broke counts
    except NotChecked as reason:
        found.append(Finding(check=name, subject="all", state="not-checked", message=str(reason)))
    except Exception as failure:  # noqa: BLE001 - the others are made all the same
        message = describe(failure)
        found.append(Finding(check=name, subject="all", state="wrong", message=message))
    return found
