"""The datastores of the workspace, as ARM lists them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scoring.azure.clients import Clients
from scoring.azure.workspace import place_in
from scoring.cli.arm import Arm
from scoring.cli.failures import Refused
from scoring.jobs.job import ContainerRef


@dataclass(frozen=True, kw_only=True)
class Datastore:
    """A datastore in blob storage."""

    name: str
    place: ContainerRef


async def registered(arm: Arm) -> dict[str, dict[str, Any]]:
    """Return the datastores of every kind, by name."""
    return {found["name"]: found async for found in arm.listed("datastores")}


def places_of(datastores: dict[str, dict[str, Any]], clients: Clients) -> dict[str, ContainerRef]:
    """Return the containers of those that are in blob storage."""
    found = {name: place_in(one, clients.account_url) for name, one in datastores.items()}
    return {name: place for name, place in found.items() if place is not None}


async def place_of(arm: Arm, name: str, clients: Clients) -> ContainerRef:
    """Return the container of a datastore.

    Raises:
        Refused: the workspace has no datastore of this name in blob storage.
    """
    found = await arm.get(f"datastores/{quote(name, safe='')}")
    place = place_in(found or {}, clients.account_url)
    if place is None:
        raise Refused(f"the workspace has no datastore {name} in blob storage")
    return place


async def default_datastore(arm: Arm) -> Datastore:
    """Return the workspace's default datastore, at the address that Azure ML has for it.

    Raises:
        Refused: there is none, or it is not in blob storage.
    """
    async for found in arm.listed("datastores", isDefault="true"):
        place = place_in(found, lambda account, suffix: f"https://{account}.blob.{suffix}")
        if place is None:
            kind = (found.get("properties") or {}).get("datastoreType")
            raise Refused(
                f"the default datastore {found['name']} is {kind}: make one in blob storage the"
                " workspace's default, because code and models are uploaded there"
            )
        return Datastore(name=found["name"], place=place)
    raise Refused("the workspace has no default datastore: name one in the studio, under Data")
