"""The computes of the workspace: stored and returned; nothing runs on them."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from local.azureml.answers import page
from local.azureml.arm import add_paths, not_found
from local.azureml.compute_bodies import Compute, ComputeProperties
from local.azureml.part import AzureMl
from local.azureml.provisioning import Provisioning
from local.azureml.reading import InvalidBody, Mistake, check, check_name, read
from local.azureml.resources import Resource

_NAME = r"[A-Za-z][A-Za-z0-9-]{1,31}"
_ACTION = "underlyingResourceAction"
_READ_ONLY = (
    "provisioningState",
    "createdOn",
    "modifiedOn",
    "isAttachedCompute",
    "provisioningErrors",
)


class Computes:
    """The paths of computes."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part
        self._provisioning = Provisioning(part, _document, in_properties=False)

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        add_paths(
            app,
            (
                ("GET", "/computes", self._list),
                ("GET", "/computes/{name}", self._get),
                ("PUT", "/computes/{name}", self._put),
                ("DELETE", "/computes/{name}", self._delete),
            ),
        )

    async def _list(self, request: web.Request) -> web.Response:
        computes = self._part.resources.within("computes")
        return page(request, computes, self._part.page_size, _document)

    async def _get(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        compute = self._part.resources.get(f"computes/{name}")
        return (
            not_found("compute", name) if compute is None else web.json_response(_document(compute))
        )

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            check_name(_NAME, name)
            body = await read(request, Compute, _READ_ONLY)
            check(_mistakes(body.properties))
        except InvalidBody as refusal:
            return refusal.answer()
        path = f"computes/{name}"
        return self._provisioning.conflict(path) or self._provisioning.put(request, path, body)

    async def _delete(self, request: web.Request) -> web.Response:
        if request.query.get(_ACTION, "").lower() not in ("delete", "detach"):
            message = f"The query must say {_ACTION}=Delete or {_ACTION}=Detach"
            return InvalidBody(Mistake("MissingParameter", message, _ACTION)).answer()
        compute = self._part.resources.get(f"computes/{request.match_info['name']}")
        if compute is None:
            return web.Response(status=204)
        return self._provisioning.conflict(compute.path) or self._provisioning.delete(
            request, compute
        )


def _document(compute: Resource) -> dict[str, Any]:
    return compute.document(
        createdOn=compute.created.isoformat(),
        modifiedOn=compute.modified.isoformat(),
        isAttachedCompute=False,
    )


def _mistakes(compute: ComputeProperties) -> Iterator[Mistake]:
    scale = compute.properties.scale_settings
    if scale and scale.min_node_count > scale.max_node_count:
        target = "properties.properties.scaleSettings"
        yield Mistake("InvalidValue", "minNodeCount is more than maxNodeCount", target)
