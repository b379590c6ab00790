"""What infra/ deploys: the compiled template, and the snapshots of two parameter files."""

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.bicep import bicep
from tests.pages import ROOT

INFRA = ROOT / "infra"
SIZES = ("smallest", "largest")
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"

Resource = dict[str, Any]


@functools.cache
def template() -> dict[str, Any]:
    """Return main.bicep, compiled, with the modules in it."""
    built = bicep("build", INFRA / "main.bicep", "--stdout")
    assert built.returncode == 0, built.stderr
    compiled: dict[str, Any] = json.loads(built.stdout)
    return compiled


def snapshot_of(source: Path, mode: str) -> subprocess.CompletedProcess[str]:
    """Predict what a parameter file deploys: `overwrite` its snapshot, or `validate` it."""
    place = ("--subscription-id", SUBSCRIPTION, "--location", "westeurope")
    return bicep("snapshot", source, "--mode", mode, *place)


@functools.cache
def snapshot(size: str) -> dict[str, Any]:
    """Return the kept snapshot of a parameter file."""
    kept: dict[str, Any] = json.loads((INFRA / f"{size}.snapshot.json").read_text("utf-8"))
    return kept


def deployed(size: str, kind: str) -> list[Resource]:
    """Return the resources of a type that a snapshot has."""
    return [one for one in snapshot(size)["predictedResources"] if one["type"] == kind]


def the(size: str, kind: str) -> Resource:
    """Return the only resource of a type."""
    (found,) = deployed(size, kind)
    return found


def app_settings(size: str) -> dict[str, str]:
    """Return the app settings; what only Azure knows stands as an expression in brackets."""
    site = the(size, "Microsoft.Web/sites")
    return {one["name"]: one["value"] for one in site["properties"]["siteConfig"]["appSettings"]}


def as_in_azure(size: str) -> dict[str, str]:
    """Return the app settings with what only Azure knows put in."""
    known = {
        ".primaryEndpoints.blob]": "https://st.blob.core.windows.net/",
        ".primaryEndpoints.queue]": "https://st.queue.core.windows.net/",
        ".clientId]": "11111111-1111-1111-1111-111111111111",
        ".endpoint]": "https://evgt.westeurope-1.eventgrid.azure.net/api/events",
    }
    return {
        name: next((real for end, real in known.items() if value.endswith(end)), value)
        for name, value in app_settings(size).items()
    }


def resources(compiled: Mapping[str, Any]) -> dict[str, Resource]:
    """Return the resources of a template by symbol; the compiler writes older ones as a list."""
    found: Any = compiled["resources"]
    return (
        found if isinstance(found, dict) else {str(number): one for number, one in enumerate(found)}
    )


def templates(compiled: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a template and all that are nested in it."""
    yield compiled
    for resource in resources(compiled).values():
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"])


def strings(document: Any) -> Iterator[str]:
    """Yield every string of a document, names of members too."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for name, value in document.items():
            yield name
            yield from strings(value)
    elif isinstance(document, list):
        for one in document:
            yield from strings(one)
