"""Batch endpoints: one that is PUT can be invoked."""

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from local.azureml.adoption import adopt
from local.azureml.answers import page
from local.azureml.arm import add_paths, not_found
from local.azureml.bodies import TrackedBody
from local.azureml.endpoint_bodies import EndpointProperties
from local.azureml.operations import Operation
from local.azureml.part import AzureMl
from local.azureml.provisioning import Provisioning
from local.azureml.reading import InvalidBody, Mistake, check, check_name, read
from local.azureml.resources import Resource
from local.azureml.workspace import Endpoint

_NAME = "[A-Za-z][A-Za-z0-9-]{2,31}"
_READ_ONLY = ("provisioningState", "scoringUri", "swaggerUri")


class BatchEndpoints:
    """The paths of endpoints."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part
        self._provisioning = Provisioning(part, self._document, in_properties=True)

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        add_paths(
            app,
            (
                ("GET", "/batchEndpoints", self._list),
                ("GET", "/batchEndpoints/{name}", self._get),
                ("PUT", "/batchEndpoints/{name}", self._put),
                ("DELETE", "/batchEndpoints/{name}", self._delete),
            ),
        )

    async def _list(self, request: web.Request) -> web.Response:
        adopt(self._part)
        endpoints = self._part.resources.within("batchEndpoints")
        return page(request, endpoints, self._part.page_size, self._document)

    async def _get(self, request: web.Request) -> web.Response:
        found = self._found(request)
        if found is None:
            return not_found("batch endpoint", request.match_info["name"])
        return web.json_response(self._document(found))

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        there = self._found(request)
        path = there.path if there else f"batchEndpoints/{name}"
        try:
            check_name(_NAME, name)
            body = await read(request, TrackedBody[EndpointProperties], _READ_ONLY)
            check(self._mistakes(path, body.properties))
        except InvalidBody as refusal:
            return refusal.answer()

        def ended(operation: Operation) -> None:
            if operation.error is None:
                self._change(path.rpartition("/")[2], body.properties)

        return self._provisioning.conflict(path) or self._provisioning.put(
            request, path, body, ended
        )

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._found(request)
        if found is None:
            return web.Response(status=204)

        def ended(operation: Operation) -> None:
            if operation.error is None:
                self._part.workspace.endpoints.pop(found.name, None)

        return self._provisioning.conflict(found.path, below=True) or self._provisioning.delete(
            request, found, ended
        )

    def _found(self, request: web.Request) -> Resource | None:
        adopt(self._part)
        return self._part.resources.get(f"batchEndpoints/{request.match_info['name']}")

    def _mistakes(self, path: str, endpoint: EndpointProperties) -> Iterator[Mistake]:
        default = _default(endpoint)
        if default and self._part.resources.get(f"{path}/deployments/{default}") is None:
            target = "properties.defaults.deploymentName"
            message = f"{target}: the endpoint has no deployment {default!r}"
            yield Mistake("ReferenceNotFound", message, target)

    def _change(self, name: str, properties: EndpointProperties) -> None:
        endpoint = self._part.workspace.endpoints.setdefault(name, Endpoint(name=name))
        endpoint.description = properties.description or ""
        endpoint.default_deployment = _default(properties)

    def _document(self, resource: Resource) -> dict[str, Any]:
        if resource.name not in self._part.workspace.endpoints:
            return resource.document()
        return resource.document(scoringUri=self._part.scoring_uri(resource.name))


def _default(endpoint: EndpointProperties) -> str | None:
    return (endpoint.defaults and endpoint.defaults.deployment_name) or None
