"""Checks that the queues of the Functions host exist. No message is read or put.

It uses "Get Queue Metadata" of the storage's REST API.
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
    NotChecked,
    Remedies,
    Wrong,
    findings,
    refused,
)
from scoring.settings import LANDINGS_QUEUE, POISON_QUEUE, STORAGE_CONNECTION

_ADDRESS = f"{STORAGE_CONNECTION}__queueServiceUri"
_VERSION = "2024-11-04"
_REMEDIES: Remedies = {
    403: "give the identity the role Storage Queue Data Contributor on the app's own account"
    f" {ROLES_TAKE_TIME}",
    0: f"is {_ADDRESS} right, and can this machine reach it?",
}


async def queues(facts: Facts) -> AsyncIterator[Finding]:
    """Look at both queues."""
    looks = {LANDINGS_QUEUE: _landings(facts), POISON_QUEUE: _poison(facts)}
    for one in await findings("queue", looks, _REMEDIES):
        yield one


async def _landings(facts: Facts) -> str:
    count = await _messages(facts, LANDINGS_QUEUE)
    if count is None:
        raise Wrong("it does not exist: create it, and have the storage's events delivered to it")
    return f"about {count} messages wait"


async def _poison(facts: Facts) -> str:
    count = await _messages(facts, POISON_QUEUE)
    if count is None:
        return "does not exist yet: the host creates it with the first message"
    if count:
        raise Doubtful(
            f"about {count} messages that were neither processed nor kept: see docs/operate.md,"
            ' "Messages that cannot be taken"'
        )
    return "is empty"


async def _messages(facts: Facts, queue: str) -> int | None:
    """Return about how many messages a queue has; None if it does not exist."""
    if facts.environment.get(STORAGE_CONNECTION):
        raise NotChecked(
            f"{STORAGE_CONNECTION} is a connection string; this check needs an identity"
        )
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
