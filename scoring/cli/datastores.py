"""The datastores of the workspace, as ARM shows them."""

from typing import Any

from scoring.cli.arm import Arm
from scoring.clients import Clients
from scoring.job import Place
from scoring.workspace import place_in

Datastore = dict[str, Any]


async def registered(arm: Arm) -> dict[str, Datastore]:
    """Return the datastores of any kind, by name."""
    return {one["name"]: one async for one in arm.listed("datastores")}


def places_of(datastores: dict[str, Datastore], clients: Clients) -> dict[str, Place]:
    """Return where those in blob storage are."""
    found = {name: place_in(one, clients.account_url) for name, one in datastores.items()}
    return {name: place for name, place in found.items() if place is not None}
