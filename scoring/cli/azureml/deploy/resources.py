"""Applies one resource: compares it with what is wanted, and changes it only if it differs.

A dry run makes the same comparisons, and keeps the requests that it would have sent.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from scoring.azure.workspace import API_VERSION
from scoring.cli import backoff
from scoring.cli.arm import OnState, well
from scoring.cli.azureml.deploy.bodies import Body
from scoring.cli.azureml.deploy.comparison import covers, leaves_behind
from scoring.cli.azureml.deploy.contents import Content
from scoring.cli.azureml.deploy.uploads import Uploaded, destination, send
from scoring.cli.datastores import Datastore, default_datastore
from scoring.cli.failures import Refused
from scoring.cli.retrying_http import Conflict
from scoring.cli.session import Session

Change = Literal["created", "updated", "unchanged"]
Kind = Literal["codes", "models", "environments", "data"]
Wanted = Callable[[Body | None], Body]  # from the existing resource, if any, to the wanted one

_TRIES = 8
_DEPLOYMENT = re.compile(r"(?P<endpoint>batchEndpoints/[^/]+)/deployments/[^/]+")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that a dry run does not send; UPLOAD stands for those to the storage."""

    method: Literal["PUT", "UPLOAD"]
    path: str
    body: Body


@dataclass(frozen=True, kw_only=True)
class Version:
    """A wanted version of an asset."""

    kind: Kind
    name: str
    version: str | None  # None: the latest if that is the same, else the next
    digest: str  # of its fields that cannot be changed
    content: Content | None  # to be uploaded first
    body: Callable[[Uploaded | None], Body]
    mutable: frozenset[str] = frozenset({"description", "tags", "properties", "stage"})

    @property
    def key(self) -> tuple[str, ...]:
        """Identifies it among others."""
        return self.kind, self.name, self.version or "", self.digest


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of an asset that is registered."""

    version: str
    change: Change
    uploaded: Uploaded | None = None


@dataclass(kw_only=True)
class Applier:
    """Changes the workspace, or in a dry run keeps the requests that would."""

    session: Session
    dry: bool
    wait_for_others: bool = True  # whether to wait for operations that others have started
    requests: list[Request] = field(default_factory=list)  # of a dry run
    _planned: dict[str, Body] = field(default_factory=dict)  # by path, in a dry run
    _latest: dict[str, str] = field(default_factory=dict)  # by container, registered in this run
    _store: Datastore | None = None
    _location: str | None = None

    async def location(self) -> str:
        """Return the region of the workspace."""
        if self._location is None:
            self._location = str((await self.session.arm.workspace())["location"])
        return self._location

    async def look(self, path: str) -> Body | None:
        """Return a resource; in a dry run as it would be."""
        planned = self._planned.get(path.lower())
        return await self.session.arm.get(path) if planned is None else planned

    async def apply(self, path: str, wanted: Wanted) -> Change:
        """Create or change a resource, unless it is as wanted.

        If another operation runs on it, wait for that and compare again: two users who deploy at
        the same time build on each other's changes.
        """
        arm, first, waits = self.session.arm, None, backoff.RETRIES.waits()
        with showing_states(self.session, path) as on_state:
            for try_ in range(1, _TRIES + 1):
                there = await self._when_done(path, on_state)
                body = wanted(there)
                change: Change = "created" if there is None else "updated"
                if there is not None and _is_as_wanted(there, body):
                    return first or "unchanged"
                if self.dry:
                    self._plan(path, body)
                    return change
                try:
                    await arm.put(path, body, on_state)
                except Conflict as conflict:
                    if try_ == _TRIES:
                        raise
                    first = (first or change) if conflict.maybe_ours else first
                    await self._wait_for_endpoint(path, on_state)
                    await asyncio.sleep(next(waits))
                else:
                    return first or change
        raise AssertionError("the last try returns or raises")

    async def register(self, wanted: Version) -> Registered:
        """Register a version of an asset, unless it is registered."""
        for try_ in range(1, _TRIES + 1):
            target = await self._target(wanted)
            body = wanted.body(target)
            version, there = await self._choose(wanted, body)
            if there is not None and covers(there, body):
                return Registered(version=version, change="unchanged")
            path = f"{wanted.kind}/{wanted.name}/versions/{version}"
            change: Change = "created" if there is None else "updated"
            uploaded = await self._upload(wanted.content, target) if there is None else None
            if self.dry:
                self._plan(path, body)
            else:
                try:
                    with showing_states(self.session, path) as on_state:
                        await self.session.arm.put(path, body, on_state)
                except Conflict:  # somebody else registered this version: compare again
                    if try_ == _TRIES:
                        raise
                    continue
            if change == "created" and wanted.version is None:
                self._latest[_container(wanted)] = version
            return Registered(version=version, change=change, uploaded=uploaded)
        raise AssertionError("the last try returns or raises")

    async def latest(self, kind: str, name: str) -> str | None:
        """Return the latest version of an asset."""
        made = self._latest.get(f"{kind}/{name}".lower())
        if made is not None:
            return made
        container = await self.session.arm.get(f"{kind}/{name}")
        latest = ((container or {}).get("properties") or {}).get("latestVersion")
        return None if latest is None else str(latest)

    async def _choose(self, wanted: Version, body: Body) -> tuple[str, Body | None]:
        """Return the version to register, and the resource if it exists."""
        container = f"{wanted.kind}/{wanted.name}"
        if wanted.version is not None:
            there = await self.look(f"{container}/versions/{wanted.version}")
            if there is not None and not _same(there, body, wanted.mutable):
                raise Refused(
                    f"{container}: version {wanted.version} exists with other content, and a"
                    " version cannot be changed: give another one, or none to register the next"
                )
            return wanted.version, there
        latest = await self.latest(wanted.kind, wanted.name)
        if latest is None:
            return "1", None
        there = await self.look(f"{container}/versions/{latest}")
        if there is not None and _same(there, body, wanted.mutable):
            return latest, there
        return await self._next(container), None

    async def _next(self, container: str) -> str:
        found = await self.session.arm.get(container) or {}
        version = (found.get("properties") or {}).get("nextVersion")
        if not version:
            raise Refused(f"{container}: the service names no next version: give a version")
        return str(version)

    async def _target(self, wanted: Version) -> Uploaded | None:
        if wanted.content is None:
            return None
        return destination(self.session.arm.workspace_id, wanted.content, await self._datastore())

    async def _upload(self, content: Content | None, target: Uploaded | None) -> Uploaded | None:
        if content is None or target is None:
            return None
        if self.dry:
            body = {"files": target.files, "bytes": target.size}
            self.requests.append(Request(method="UPLOAD", path=target.url, body=body))
            return None  # nothing was uploaded, or looked at
        return await send(self.session, content, await self._datastore())

    async def _datastore(self) -> Datastore:
        if self._store is None:
            self._store = await default_datastore(self.session.arm)
        return self._store

    async def _when_done(self, path: str, on_state: OnState) -> Body | None:
        """Return a resource when no operation runs on it any more."""
        if path.lower() in self._planned or not self.wait_for_others:
            return await self.look(path)
        return await self.session.arm.wait_until_done(path, on_state)

    async def _wait_for_endpoint(self, path: str, on_state: OnState) -> None:
        """Wait for an operation on the endpoint of a deployment, which may be the conflict."""
        deployment = _DEPLOYMENT.fullmatch(path)
        if deployment:
            await self.session.arm.wait_until_done(deployment["endpoint"], on_state)

    def _plan(self, path: str, body: Body) -> None:
        url = f"{self.session.arm.id(path)}?api-version={API_VERSION}"
        self.requests.append(Request(method="PUT", path=url, body=body))
        self._planned[path.lower()] = body


def _is_as_wanted(there: Body, body: Body) -> bool:
    return well(there) and covers(there, body) and not leaves_behind(there, body)


def _container(wanted: Version) -> str:
    return f"{wanted.kind}/{wanted.name}".lower()


def _same(there: Body, body: Body, mutable: frozenset[str]) -> bool:
    fixed = {k: v for k, v in body["properties"].items() if k not in mutable}
    return covers(there.get("properties"), fixed)


@contextlib.contextmanager
def showing_states(session: Session, path: str) -> Iterator[OnState]:
    """Show the states of an operation on a resource."""
    with session.console.bar(path) as bar:
        yield lambda state: bar.describe(f"{path}: {state}")
