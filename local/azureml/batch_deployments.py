"""Deployments of batch endpoints: one that is PUT can score once its operation has succeeded."""

import msgspec
from aiohttp import web
from msgspec import UNSET

from local.azureml.adoption import adopt
from local.azureml.answers import page, refused
from local.azureml.arm import add_paths, not_found
from local.azureml.bodies import TrackedBody
from local.azureml.deploying import deployment_of
from local.azureml.endpoint_bodies import DeploymentProperties
from local.azureml.operations import Operation
from local.azureml.part import AzureMl
from local.azureml.provisioning import Provisioning
from local.azureml.reading import InvalidBody, check_name, read
from local.azureml.resources import Resource
from local.azureml.workspace import Deployment, Endpoint

_NAME = "[A-Za-z][A-Za-z0-9-]{2,31}"
_PATH = "/batchEndpoints/{endpoint}/deployments"
_READ_ONLY = ("provisioningState",)


class BatchDeployments:
    """The paths of deployments."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part
        self._provisioning = Provisioning(part, Resource.document, in_properties=True)

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        add_paths(
            app,
            (
                ("GET", _PATH, self._list),
                ("GET", _PATH + "/{name}", self._get),
                ("PUT", _PATH + "/{name}", self._put),
                ("DELETE", _PATH + "/{name}", self._delete),
            ),
        )

    async def _list(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return _no_endpoint(request)
        found = self._part.resources.within(f"{endpoint.path}/deployments")
        return page(request, found, self._part.page_size, Resource.document)

    async def _get(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return _no_endpoint(request)
        found = self._found(request, endpoint)
        if found is None:
            return not_found("deployment", request.match_info["name"])
        return web.json_response(found.document())

    async def _put(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return _no_endpoint(request)
        there, name = self._found(request, endpoint), request.match_info["name"]
        path = there.path if there else f"{endpoint.path}/deployments/{name}"
        try:
            check_name(_NAME, name)
            body = await read(request, TrackedBody[DeploymentProperties], _READ_ONLY)
            deployment = deployment_of(
                path.rpartition("/")[2], body.properties, self._part.resources
            )
        except InvalidBody as refusal:
            return refusal.answer()
        scored = self._part.workspace.endpoint(endpoint.name)
        if scored is None or endpoint.state == "Deleting":
            message = f"{endpoint.path} takes no deployment while it is {endpoint.state}"
            return refused(409, "Conflict", message)

        def ended(operation: Operation) -> None:
            _change(scored, deployment, works=operation.error is None)

        return self._provisioning.conflict(path) or self._provisioning.put(
            request, path, body, ended
        )

    async def _delete(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        found = self._found(request, endpoint) if endpoint else None
        if endpoint is None or found is None:
            return web.Response(status=204)

        def ended(operation: Operation) -> None:
            if operation.error is None:
                self._remove(endpoint, found.name)

        conflict = self._provisioning.conflict
        return (
            (conflict(endpoint.path) if endpoint.state == "Deleting" else None)
            or conflict(found.path)
            or self._provisioning.delete(request, found, ended)
        )

    def _endpoint(self, request: web.Request) -> Resource | None:
        adopt(self._part)
        return self._part.resources.get(f"batchEndpoints/{request.match_info['endpoint']}")

    def _found(self, request: web.Request, endpoint: Resource) -> Resource | None:
        return self._part.resources.get(f"{endpoint.path}/deployments/{request.match_info['name']}")

    def _remove(self, endpoint: Resource, name: str) -> None:
        """Remove a deployment, and the default that names it."""
        scored = self._part.workspace.endpoint(endpoint.name)
        if scored is None:
            return
        scored.deployments.pop(name, None)
        if (scored.default_deployment or "").lower() == name.lower():
            scored.default_deployment = None
            properties = msgspec.structs.replace(endpoint.body.properties, defaults=UNSET)
            endpoint.replace(msgspec.structs.replace(endpoint.body, properties=properties))


def _change(endpoint: Endpoint, deployment: Deployment, *, works: bool) -> None:
    if works:
        endpoint.deployments[deployment.name] = deployment
    else:
        endpoint.deployments.pop(deployment.name, None)


def _no_endpoint(request: web.Request) -> web.Response:
    name = request.match_info["endpoint"]
    message = f"The batch endpoint {name!r} was not found."
    return refused(404, "ParentResourceNotFound", message)
