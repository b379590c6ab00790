"""Checks that the identity gets a token for each service."""

import base64
import binascii
import json
from collections.abc import AsyncIterator

from scoring.azure.clients import EVENT_GRID_SCOPE, STORAGE_SCOPE
from scoring.azure.identity import NoToken
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import Finding, Wrong, findings

_HOLDER = ("upn", "unique_name", "appid", "azp", "oid")
_REMEDY = (
    "in the function app, enable its managed identity, and name a user-assigned one in"
    " AZURE_CLIENT_ID; elsewhere, run `az login`"
)


async def tokens(facts: Facts) -> AsyncIterator[Finding]:
    """Get a token for each service. Whether it is accepted, the service's own check shows."""
    settings = facts.workspace_settings()
    scopes = {
        "Azure Resource Manager": settings.arm_scope,
        "Azure ML": settings.ml_scope,
        "storage": STORAGE_SCOPE,
        "Event Grid": EVENT_GRID_SCOPE,
    }
    looks = {service: _token(facts, scope) for service, scope in scopes.items()}
    for one in await findings("token", looks):
        yield one


async def _token(facts: Facts, scope: str) -> str:
    audience = scope.removesuffix("/.default")
    try:
        token = await facts.clients().token(scope)
    except NoToken as failure:
        raise Wrong(f"none for {audience}: {failure}; {_REMEDY}") from None
    facts.tokens.add(scope)
    return f"for {audience}{_holder(token)}"


def _holder(token: str) -> str:
    """Return whose token it is, as far as it can be read: roles are given to that identity."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return ""
    holder = [f"{name} {claims[name]}" for name in _HOLDER if claims.get(name)]
    return f", held by {', '.join(holder)}" if holder else ""
