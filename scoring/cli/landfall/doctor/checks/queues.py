"""Whether the queues are there that the Functions host reads. No message is read or put.

"Get Queue Metadata" of the storage REST documentation.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx

from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Doubtful,
    Finding,
    Mend,
    NotChecked,
    Wrong,
    findings,
    refused,
)
from scoring.settings import LANDINGS_QUEUE, POISON_QUEUE, STORAGE_CONNECTION

_ADDRESS = f"{STORAGE_CONNECTION}__queueServiceUri"
_VERSION = "2024-11-04"
_MEND: Mend = {
    403: "give the identity the role Storage Queue Data Contributor on the app's own account"
    f" {ROLES_TAKE_TIME}",
    0: f"is {_ADDRESS} right, and may this machine reach it?",
}


async def queues(facts: Facts) -> AsyncIterator[Finding]:
    """Look at both queues."""
    looks = {LANDINGS_QUEUE: _landings(facts), POISON_QUEUE: _poison(facts)}
    for one in await findings("queue", looks, _MEND):
        yield one


async def _landings(facts: Facts) -> str:
    count = await _messages(facts, LANDINGS_QUEUE)
    if count is None:
        raise Wrong("there is none: create it, and let the storage's events be delivered to it")
    return f"about {count} messages wait"


async def _poison(facts: Facts) -> str:
    count = await _messages(facts, POISON_QUEUE)
    if count is None:
        return "is not there yet: the host makes it with the first message"
    if count:
        raise Doubtful(
            f"about {count} messages that could be neither taken nor kept: see docs/operate.md,"
            ' "Messages that cannot be taken"'
        )
    return "is empty"


async def _messages(facts: Facts, queue: str) -> int | None:
    """Return how many messages there are about; None: there is no such queue."""
    if facts.environment.get(STORAGE_CONNECTION):
        raise NotChecked(f"{STORAGE_CONNECTION} is a connection string; only an identity can look")
    base = facts.environment.get(_ADDRESS, "").rstrip("/")
    if not base:
        raise Wrong(f"{_ADDRESS} is missing: the Functions host reads the queues there")
    answer = await facts.queues(base).send(
        "GET",
        f"{base}/{queue}",
        params={"comp": "metadata"},
        headers={
            "x-ms-version": _VERSION,
            "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
        },
    )
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    if not answer.is_success:
        raise refused(answer)
    return int(answer.headers.get("x-ms-approximate-messages-count", 0))
