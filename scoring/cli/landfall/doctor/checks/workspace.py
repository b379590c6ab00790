"""Checks of the workspace: datastores, endpoints, deployments. Nothing is changed."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

from scoring.azure.answers import json_in
from scoring.cli.arm import provisioning, well
from scoring.cli.datastores import places_of, registered
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Doubtful,
    Finding,
    NotChecked,
    Remedies,
    Wrong,
    finding,
    findings,
    refused,
)
from scoring.cli.landfall.doctor.checks.set_up import broken
from scoring.services import good_routes

_ARM: Remedies = {
    401: "the token was refused: LANDFALL_ARM_AUDIENCE must be the one of this cloud",
    403: f"give the identity the role AzureML Data Scientist on the workspace {ROLES_TAKE_TIME}",
    404: "does the workspace exist, in this resource group and subscription?",
    0: "is LANDFALL_ARM_URL right, and can this machine reach it?",
}
_ML: Remedies = {
    401: "the token was refused: LANDFALL_ML_AUDIENCE must be the one of this cloud",
    403: f"give the identity the role AzureML Data Scientist on the workspace {ROLES_TAKE_TIME}",
    0: "can this machine reach it (a private endpoint of the workspace)?",
}


async def workspace(facts: Facts) -> AsyncIterator[Finding]:
    """List the datastores; this checks the token for ARM, too."""
    yield await finding("workspace", facts.workspace_settings().workspace, _listed(facts), _ARM)


async def _listed(facts: Facts) -> str:
    facts.registered = await registered(facts.arm())
    facts.places = places_of(facts.registered, facts.clients())
    return f"{len(facts.registered)} datastores"


async def datastores(facts: Facts) -> AsyncIterator[Finding]:
    """Look for the datastore of each route, and for outputs that a route would match."""
    names = dict.fromkeys(route.datastore for route in facts.routes)
    for one in await findings("datastore", {name: _datastore(facts, name) for name in names}):
        yield one
    # Mistakes in `datastore` are reported above.
    good, mistakes = good_routes(facts.routes, [], facts.places)
    for one in broken(mistake for mistake in mistakes if mistake.field != "datastore"):
        yield one
    facts.routes = good


async def _datastore(facts: Facts, name: str) -> str:
    datastore = facts.datastores().get(name)
    if datastore is None:
        raise Wrong(
            "the workspace has no datastore of this name: register it, or correct the routes"
        )
    place, kind = facts.places.get(name), (datastore.get("properties") or {}).get("datastoreType")
    if place is None:
        raise Wrong(
            f"it is of type {kind}: register its container as an AzureBlob datastore, because"
            " outputs must be in blob storage"
        )
    return f"container {place.container} of account {place.account}, at {place.account_url}"


async def endpoints(facts: Facts) -> AsyncIterator[Finding]:
    """Look at the endpoint of each route, and list its jobs; this checks the token for Azure ML."""
    names = dict.fromkeys(route.endpoint for route in facts.routes)
    looks = {name: _endpoint(facts, name) for name in names}
    for one in await findings("endpoint", looks, _ARM):
        yield one
    looks = {name: _jobs(facts, name) for name in names}
    for one in await findings("scoring URI", looks, _ML):
        yield one


async def _endpoint(facts: Facts, name: str) -> str:
    facts.datastores()  # otherwise the workspace may not exist
    document = await facts.arm().get(f"batchEndpoints/{name}")
    if document is None:
        raise Wrong(
            "the workspace has no batch endpoint of this name: create it, or correct the routes"
        )
    facts.endpoints[name] = document.get("properties") or {}
    return _provisioned(document)


async def _jobs(facts: Facts, name: str) -> str:
    if name not in facts.endpoints:
        raise NotChecked("the check of the endpoint failed")
    uri = facts.endpoints[name].get("scoringUri")
    if not isinstance(uri, str):
        raise Wrong("the workspace has none: is the endpoint still being created?")
    answer = await facts.ml().send("GET", uri)
    document = json_in(answer)
    if answer.is_success and isinstance(document, dict) and "value" in document:
        return f"lists its batch jobs, at {httpx.URL(uri).host}"
    if answer.is_success:
        raise Doubtful(
            f"{uri} lists no batch jobs: Landfall cannot look for attempts with an unclear outcome"
        )
    raise refused(answer)


async def deployments(facts: Facts) -> AsyncIterator[Finding]:
    """Look at the deployment that each route names, or the default one of its endpoint."""
    wanted = dict.fromkeys((route.endpoint, route.deployment) for route in facts.routes)
    looks = {
        f"{endpoint}/{deployment or '(default)'}": _deployment(facts, endpoint, deployment)
        for endpoint, deployment in wanted
    }
    for one in await findings("deployment", looks, _ARM):
        yield one


async def _deployment(facts: Facts, endpoint: str, named: str | None) -> str:
    if endpoint not in facts.endpoints:
        raise NotChecked("the check of the endpoint failed")
    name = named or (facts.endpoints[endpoint].get("defaults") or {}).get("deploymentName")
    if not name:
        raise Wrong(
            "the endpoint has no default deployment, so each job would be refused (No valid"
            " deployments to route to): set one, or name a `deployment` in the route"
        )
    document = await facts.arm().get(f"batchEndpoints/{endpoint}/deployments/{name}")
    if document is None:
        raise Wrong(f"the endpoint has no deployment {name!r}: deploy it, or name another")
    return f"{name}: {_provisioned(document)}"


def _provisioned(resource: dict[str, Any]) -> str:
    state = provisioning(resource)
    if state.lower() in ("", "succeeded"):
        return "exists"
    if not well(resource):
        raise Wrong(f"its provisioning {state.lower()}: deploy it again")
    raise Doubtful(f"its provisioning state is {state}: wait until it has succeeded")
