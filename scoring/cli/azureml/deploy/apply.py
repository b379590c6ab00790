"""Applies files of the Azure ML CLI v2 to the workspace: all resources, in the right order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scoring.cli.azureml.deploy.bodies import (
    compute_body,
    default_of,
    deployment_body,
    endpoint_again,
    endpoint_body,
)
from scoring.cli.azureml.deploy.preparation import Asset, Wanted, WantedDeployment, prepare
from scoring.cli.azureml.deploy.references import Reference
from scoring.cli.azureml.deploy.resources import Applier, Change, Request, Version
from scoring.cli.azureml.deploy.uploads import Uploaded
from scoring.cli.azureml.deploy.yaml_files import YamlFile, read
from scoring.cli.azureml.deploy.yaml_schema import Compute, Endpoint
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session

Kind = Literal[
    "compute", "code", "model", "environment", "data", "endpoint", "deployment", "default"
]
_KINDS: dict[str, Kind] = {
    "codes": "code",
    "models": "model",
    "environments": "environment",
    "data": "data",
}
_ORDER = tuple(_KINDS)  # the order of the REST article


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done to one resource."""

    kind: Kind  # default: an endpoint's default deployment
    name: str
    version: str | None = None
    id: str  # of ARM
    change: Change | Literal["deleted"]
    uploaded: Uploaded | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What was done to all resources."""

    resources: list[Outcome]
    requests: list[Request] = field(default_factory=list)  # that a dry run did not send

    @property
    def changed(self) -> bool:
        """Whether anything was changed, or would be."""
        return any(one.change != "unchanged" for one in self.resources)


async def deploy(
    session: Session, files: list[Path], *, set_default: bool = False, dry_run: bool = False
) -> Deployed:
    """Read files, and apply them.

    Args:
        session: the workspace.
        files: YAML files of the Azure ML CLI v2.
        set_default: make each deployment the default one of its endpoint.
        dry_run: change nothing; `requests` is what would be sent.

    Raises:
        UsageError: the files have mistakes; it lists all of them.
        Refused: the service, or the state of the workspace, does not allow it.
    """
    parsed = parse(session, files)
    return await apply(session, parsed, set_default=set_default, dry_run=dry_run)


def parse(session: Session, files: Iterable[Path]) -> list[YamlFile]:
    """Read files, and warn of fields without effect.

    Raises:
        UsageError: there are mistakes; it lists all of them.
    """
    reading = read(files)
    for warning in reading.warnings:
        session.console.warn(warning)
    return reading.files


async def apply(
    session: Session, files: list[YamlFile], *, set_default: bool = False, dry_run: bool = False
) -> Deployed:
    """Bring the workspace to the state that files describe, and wait until it is reached.

    A dry run comes first, so that what the workspace lacks is reported before anything is changed.

    Raises:
        UsageError: the files have mistakes; it lists all of them.
        Refused: the service, or the state of the workspace, does not allow it.
    """
    with session.console.bar("reading files"):
        wanted = await asyncio.to_thread(prepare, files, session.arm.workspace_id)
    defaults = _defaults(wanted, set_default=set_default)
    plan = Applier(session=session, dry=True, wait_for_others=not dry_run)
    planned = await _Deploying(applier=plan).all(wanted, defaults)
    if dry_run or not planned.changed:
        return planned
    return await _Deploying(applier=Applier(session=session, dry=False)).all(wanted, defaults)


def _defaults(wanted: Wanted, *, set_default: bool) -> dict[str, str]:
    """Return the default deployment that each endpoint should have."""
    defaults = {
        one.name: one.defaults.deployment_name
        for one in wanted.endpoints
        if one.defaults and one.defaults.deployment_name
    }
    if not set_default:
        return defaults
    named: dict[str, str] = {}
    for deployment in (one.fields for one in wanted.deployments):
        other = named.setdefault(deployment.endpoint_name, deployment.name)
        if other != deployment.name:
            raise UsageError(
                f"--set-default: {other} and {deployment.name} cannot both be the default"
                f" deployment of {deployment.endpoint_name}: deploy one at a time"
            )
    return defaults | named


class _Consequence(Exception):
    """It fails because something before it was refused, which is reported already."""


@dataclass(kw_only=True)
class _Deploying:
    """One pass over everything that is wanted; what others refer to comes first."""

    applier: Applier
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[Refused] = field(default_factory=list)
    ids: dict[tuple[str, ...], str] = field(default_factory=dict)

    async def all(self, wanted: Wanted, defaults: dict[str, str]) -> Deployed:
        for compute in wanted.computes:
            await self._try(self._compute, compute)
        versions = wanted.all_versions()
        for version in sorted(versions, key=lambda one: _ORDER.index(one.kind)):
            await self._try(self._version, version)
        for endpoint in wanted.endpoints:
            await self._try(self._endpoint, endpoint)
        for deployment in wanted.deployments:
            await self._try(self._deployment, deployment)
        for name, default in defaults.items():
            yaml = next((one for one in wanted.endpoints if one.name == name), None)
            await self._try(self._default, (name, default, yaml))
        if self.problems:
            details = self.problems[0].details if len(self.problems) == 1 else {}
            raise Refused("\n".join(map(str, self.problems)), **details)
        return Deployed(resources=self.outcomes, requests=self.applier.requests)

    async def _try(self, do: Callable[..., Awaitable[None]], what: object) -> None:
        """Run a step. A dry run continues after a refusal, to find all of them."""
        try:
            await do(what)
        except _Consequence:
            pass
        except Refused as problem:
            if not self.applier.dry:
                raise
            self.problems.append(problem)

    async def _compute(self, compute: Compute) -> None:
        location = await self.applier.location()
        path = f"computes/{compute.name}"
        change = await self.applier.apply(path, lambda _: compute_body(compute, location))
        self._record("compute", compute.name, path, change)

    async def _version(self, wanted: Version) -> None:
        done = await self.applier.register(wanted)
        path = f"{wanted.kind}/{wanted.name}/versions/{done.version}"
        self.ids[wanted.key] = self.applier.session.arm.id(path)
        self._record(
            _KINDS[wanted.kind],
            wanted.name,
            path,
            done.change,
            version=done.version,
            uploaded=done.uploaded,
        )

    async def _endpoint(self, endpoint: Endpoint) -> None:
        """Apply an endpoint. Its default deployment stays: a new one may not exist yet."""
        location = await self.applier.location()
        path = f"batchEndpoints/{endpoint.name}"
        change = await self.applier.apply(
            path, lambda there: endpoint_body(endpoint, location, default_of(there), there)
        )
        self._record("endpoint", endpoint.name, path, change)

    async def _deployment(self, wanted: WantedDeployment) -> None:
        fields, location = wanted.fields, await self.applier.location()
        endpoint = f"batchEndpoints/{fields.endpoint_name}"
        if await self.applier.look(endpoint) is None:
            raise Refused(
                f"deployment {fields.name}: the workspace has no batch endpoint"
                f" {fields.endpoint_name}: deploy its YAML file in the same call"
            )
        body = deployment_body(
            fields,
            location,
            model=await self._id("model", wanted.model, "models"),
            code=await self._id("code", wanted.code, "codes"),
            environment=await self._id("environment", wanted.environment, "environments"),
            compute=await self._compute_id(wanted.compute),
        )
        path = f"{endpoint}/deployments/{fields.name}"
        change = await self.applier.apply(path, lambda _: body)
        self._record("deployment", f"{fields.endpoint_name}/{fields.name}", path, change)

    async def _default(self, what: tuple[str, str, Endpoint | None]) -> None:
        name, default, yaml = what
        path, location = f"batchEndpoints/{name}", await self.applier.location()
        if await self.applier.look(f"{path}/deployments/{default}") is None:
            raise Refused(
                f"endpoint {name}: its default deployment {default} does not exist: deploy its"
                " YAML file in the same call"
            )
        change = await self.applier.apply(
            path,
            lambda there: (
                endpoint_body(yaml, location, default, there)
                if yaml
                else endpoint_again(there or {}, default)
            ),
        )
        self._record("default", f"{name}/{default}", path, change)

    async def _id(self, what: str, asset: Asset | None, kind: str) -> str | None:
        if asset is None:
            return None
        if isinstance(asset, Version):
            if asset.key not in self.ids:
                raise _Consequence
            return self.ids[asset.key]
        if asset.id is not None:
            return asset.id
        version = asset.version or await self.applier.latest(kind, asset.name)
        path = f"{kind}/{asset.name}/versions/{version}"
        if version is None or await self.applier.look(path) is None:
            wanted = f" version {asset.version}" if asset.version else ""
            raise Refused(
                f"the workspace has no {what} {asset.name}{wanted}: deploy its YAML file"
                " in the same call, or correct the reference"
            )
        return self.applier.session.arm.id(path)

    async def _compute_id(self, compute: Reference) -> str:
        if compute.id is not None:
            return compute.id
        path = f"computes/{compute.name}"
        if await self.applier.look(path) is None:
            raise Refused(
                f"the workspace has no compute {compute.name}: create it by a YAML file with"
                " `$schema: https://azuremlschemas.azureedge.net/latest/amlCompute.schema.json`, name and"
                " size in the same call"
            )
        return self.applier.session.arm.id(path)

    def _record(
        self,
        kind: Kind,
        name: str,
        path: str,
        change: Change,
        *,
        version: str | None = None,
        uploaded: Uploaded | None = None,
    ) -> None:
        self.outcomes.append(
            Outcome(
                kind=kind,
                name=name,
                version=version,
                id=self.applier.session.arm.id(path),
                change=change,
                uploaded=uploaded,
            )
        )
