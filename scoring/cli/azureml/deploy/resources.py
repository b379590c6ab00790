"""Bringing resources to a state: looking first, and changing only what is not so yet.

A dry run asks the same questions, and remembers what it would have changed.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from scoring.azure.workspace import API_VERSION
from scoring.cli import backoff
from scoring.cli.arm import Tell, well
from scoring.cli.azureml.deploy.bodies import Body
from scoring.cli.azureml.deploy.comparison import covers, leaves_behind
from scoring.cli.azureml.deploy.contents import Content
from scoring.cli.azureml.deploy.uploads import Uploaded, destination, send
from scoring.cli.datastores import Datastore, default_datastore
from scoring.cli.failures import Refused
from scoring.cli.patient_http import Conflict
from scoring.cli.session import Session

Change = Literal["created", "updated", "unchanged"]
Kind = Literal["codes", "models", "environments", "data"]
Wanted = Callable[[Body | None], Body]  # from what is there to what is to be there

_TRIES = 8
_DEPLOYMENT = re.compile(r"(?P<endpoint>batchEndpoints/[^/]+)/deployments/[^/]+")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request that a dry run does not make; UPLOAD stands for those to the storage."""

    method: Literal["PUT", "UPLOAD"]
    path: str
    body: Body


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of an asset that is wanted."""

    kind: Kind
    name: str
    version: str | None  # None: the latest if it is the same, else the next
    digest: str  # of what cannot be changed in it
    content: Content | None  # to be uploaded first
    body: Callable[[Uploaded | None], Body]
    mutable: frozenset[str] = frozenset({"description", "tags", "properties", "stage"})

    @property
    def key(self) -> tuple[str, ...]:
        """Tells it from other ones."""
        return self.kind, self.name, self.version or "", self.digest


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of an asset that is there."""

    version: str
    change: Change
    uploaded: Uploaded | None = None


@dataclass(kw_only=True)
class Applier:
    """The workspace, as it is or as it would be."""

    session: Session
    dry: bool
    patient: bool = True  # whether it waits for operations that others have begun
    requests: list[Request] = field(default_factory=list)  # what a dry run would do
    _planned: dict[str, Body] = field(default_factory=dict)  # by path, in a dry run
    _latest: dict[str, str] = field(default_factory=dict)  # by container, made in this run
    _store: Datastore | None = None
    _location: str | None = None

    async def location(self) -> str:
        """Return the region of the workspace."""
        if self._location is None:
            self._location = str((await self.session.arm.workspace())["location"])
        return self._location

    async def look(self, path: str) -> Body | None:
        """Return what is there."""
        planned = self._planned.get(path.lower())
        return await self.session.arm.get(path) if planned is None else planned

    async def bring(self, path: str, wanted: Wanted) -> Change:
        """Bring a resource to a state, unless it is in it.

        What happens to it meanwhile is waited for, and looked at again: two who deploy at once
        build on what the other did.
        """
        arm, first, waits = self.session.arm, None, backoff.RETRIES.waits()
        with waiting(self.session, path) as tell:
            for try_ in range(1, _TRIES + 1):
                there = await self._settled(path, tell)
                body = wanted(there)
                change: Change = "created" if there is None else "updated"
                if there is not None and _is_so(there, body):
                    return first or "unchanged"
                if self.dry:
                    self._plan(path, body)
                    return change
                try:
                    await arm.put(path, body, tell)
                except Conflict as conflict:
                    if try_ == _TRIES:
                        raise
                    first = (first or change) if conflict.maybe_ours else first
                    await self._others(path, tell)
                    await asyncio.sleep(next(waits))
                else:
                    return first or change
        raise AssertionError("the last try returns or raises")

    async def register(self, wanted: Version) -> Registered:
        """Register a version of an asset, unless it is there."""
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
                    with waiting(self.session, path) as tell:
                        await self.session.arm.put(path, body, tell)
                except Conflict:  # somebody else took the version: look again
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
        """Choose the version, and return what is there of it."""
        container = f"{wanted.kind}/{wanted.name}"
        if wanted.version is not None:
            there = await self.look(f"{container}/versions/{wanted.version}")
            if there is not None and not _same(there, body, wanted.mutable):
                raise Refused(
                    f"{container}: version {wanted.version} exists with other content, and a"
                    " version does not change: say another one, or none to register the next"
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
            raise Refused(f"{container}: the service names no next version: say a version")
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
            return None  # nothing was, and what is there already nobody has looked at
        return await send(self.session, content, await self._datastore())

    async def _datastore(self) -> Datastore:
        if self._store is None:
            self._store = await default_datastore(self.session.arm)
        return self._store

    async def _settled(self, path: str, tell: Tell) -> Body | None:
        if path.lower() in self._planned or not self.patient:
            return await self.look(path)
        return await self.session.arm.wait_until_done(path, tell)

    async def _others(self, path: str, tell: Tell) -> None:
        """Wait for what happens to that which a resource belongs to."""
        deployment = _DEPLOYMENT.fullmatch(path)
        if deployment:
            await self.session.arm.wait_until_done(deployment["endpoint"], tell)

    def _plan(self, path: str, body: Body) -> None:
        url = f"{self.session.arm.id(path)}?api-version={API_VERSION}"
        self.requests.append(Request(method="PUT", path=url, body=body))
        self._planned[path.lower()] = body


def _is_so(there: Body, body: Body) -> bool:
    return well(there) and covers(there, body) and not leaves_behind(there, body)


def _container(wanted: Version) -> str:
    return f"{wanted.kind}/{wanted.name}".lower()


def _same(there: Body, body: Body, mutable: frozenset[str]) -> bool:
    fixed = {k: v for k, v in body["properties"].items() if k not in mutable}
    return covers(there.get("properties"), fixed)


@contextlib.contextmanager
def waiting(session: Session, path: str) -> Iterator[Tell]:
    """Show people the states of an operation on a resource."""
    with session.console.bar(path) as bar:
        yield lambda state: bar.say(f"{path}: {state}")
