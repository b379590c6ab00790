"""Codes, models, environments and data: assets with immutable versions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from local.azureml import asset_bodies as bodies
from local.azureml.answers import page, refused
from local.azureml.arm import add_paths, not_found
from local.azureml.asset_uris import code_mistake, data_mistake, environment_mistake, model_mistake
from local.azureml.bodies import Body
from local.azureml.part import AzureMl
from local.azureml.reading import InvalidBody, Mistake, check, check_name, read
from local.azureml.resources import Resource
from local.azureml.workspace import Workspace

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}"
_MAY_CHANGE: dict[str, Any] = {
    "description": UNSET,
    "tags": UNSET,
    "properties": UNSET,
    "is_archived": False,
}
_READ_ONLY = ("provisioningState", "latestVersion", "nextVersion", "environmentType")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One of the four kinds of asset."""

    name: str  # in paths
    version: type[Body[Any]]
    container: type[Body[Any]]
    mistakes: Callable[[Any, Workspace], Iterator[Mistake]]


_KINDS = (
    _Kind(
        name="codes",
        version=Body[bodies.CodeVersion],
        container=Body[bodies.Container],
        mistakes=code_mistake,
    ),
    _Kind(
        name="models",
        version=Body[bodies.ModelVersion],
        container=Body[bodies.Container],
        mistakes=model_mistake,
    ),
    _Kind(
        name="environments",
        version=Body[bodies.EnvironmentVersion],
        container=Body[bodies.Container],
        mistakes=environment_mistake,
    ),
    _Kind(
        name="data",
        version=Body[bodies.DataVersion],
        container=Body[bodies.DataContainer],
        mistakes=data_mistake,
    ),
)


class Assets:
    """The paths of all assets."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        for kind in _KINDS:
            _Paths(self._part, kind).install(app)


class _Paths:
    """The paths of one kind."""

    def __init__(self, part: AzureMl, kind: _Kind) -> None:
        self._part = part
        self._kind = kind
        self._resources = part.resources

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        containers, container = f"/{self._kind.name}", f"/{self._kind.name}/{{name}}"
        versions, version = f"{container}/versions", f"{container}/versions/{{version}}"
        add_paths(
            app,
            (
                ("GET", containers, self._list),
                ("GET", container, self._get),
                ("PUT", container, self._put_container),
                ("DELETE", container, self._delete),
                ("GET", versions, self._list_versions),
                ("GET", version, self._get),
                ("PUT", version, self._put_version),
                ("DELETE", version, self._delete),
            ),
        )

    async def _list(self, request: web.Request) -> web.Response:
        found = self._resources.within(self._kind.name)
        return page(request, found, self._part.page_size, self._document)

    async def _list_versions(self, request: web.Request) -> web.Response:
        container = self._resources.get(self._path(request))
        if container is None:
            return not_found(self._kind.name, request.match_info["name"])
        found = self._resources.within(f"{container.path}/versions")
        return page(request, found, self._part.page_size, self._document)

    async def _get(self, request: web.Request) -> web.Response:
        path = self._path(request)
        found = self._resources.get(path)
        return not_found("asset", path) if found is None else _shown(self._document(found))

    async def _put_container(self, request: web.Request) -> web.Response:
        try:
            check_name(_NAME, request.match_info["name"])
            body = await read(request, self._kind.container, _READ_ONLY)
        except InvalidBody as refusal:
            return refusal.answer()
        return self._put(self._path(request), body)

    async def _put_version(self, request: web.Request) -> web.Response:
        try:
            for what in ("name", "version"):
                check_name(_NAME, request.match_info[what], what)
            body = await read(request, self._kind.version, _READ_ONLY)
            check(self._kind.mistakes(body.properties, self._part.workspace))
        except InvalidBody as refusal:
            return refusal.answer()
        there = self._resources.get(self._path(request))
        if there is not None and _fixed(there.body) != _fixed(body):
            message = f"{there.path} exists with other content: register another version"
            return refused(409, "Conflict", message)
        container = self._container(request.match_info["name"], body)
        version = there.name if there else request.match_info["version"]
        if self._kind.name == "data":
            names = container.name, version
            data = body.properties
            self._part.data[names] = (data.data_type.value, data.data_uri)
        return self._put(f"{container.path}/versions/{version}", body)

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._resources.get(self._path(request))
        if found is None:
            return web.Response(status=204)
        self._resources.remove(found.path)
        for name, version in list(self._part.data):
            path = f"data/{name}/versions/{version}/".lower()
            if path.startswith(f"{found.path.lower()}/"):
                del self._part.data[name, version]
        return web.Response(status=200)

    def _put(self, path: str, body: Any) -> web.Response:
        found = self._resources.get(path)
        if found is not None:
            found.replace(body)
            return _shown(self._document(found))
        made = self._resources.add(Resource(path=path, body=body))
        return _shown(self._document(made), status=201)

    def _container(self, name: str, version: Any) -> Resource:
        """Return the container of a version; create it with the first version."""
        path = f"{self._kind.name}/{name}"
        given = {"data_type": version.properties.data_type} if self._kind.name == "data" else {}
        properties = bodies.DataContainer(**given) if given else bodies.Container()
        return self._resources.get(path) or self._resources.add(
            Resource(path=path, body=Body(properties=properties))
        )

    def _path(self, request: web.Request) -> str:
        version = request.match_info.get("version")
        path = f"{self._kind.name}/{request.match_info['name']}"
        return path if version is None else f"{path}/versions/{version}"

    def _document(self, asset: Resource) -> dict[str, Any]:
        if "/versions/" in asset.path:
            return asset.document()
        names = [one.name for one in self._resources.within(f"{asset.path}/versions")]
        numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
        return asset.document(
            latestVersion=names[-1] if names else None,
            nextVersion=str(max(numbers, default=0) + 1),
        )


def _fixed(body: Any) -> Any:
    """Return the immutable properties of a version."""
    return msgspec.structs.replace(body.properties, **_MAY_CHANGE)


def _shown(document: dict[str, Any], *, status: int = 200) -> web.Response:
    return web.json_response(document, status=status)
