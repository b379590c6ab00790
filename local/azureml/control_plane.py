"""Azure Resource Manager, as far as it concerns the workspace: what is there, and cancelling."""

from typing import Any

from aiohttp import web

from local.azureml.answers import page, refused
from local.azureml.part import AzureMl
from local.azureml.workspace import Datastore, Endpoint
from local.faults import Handler
from local.names import LOCATION, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID

_PREFIX = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)
_TYPE = "Microsoft.MachineLearningServices/workspaces"
_OURS = {"subscription": SUBSCRIPTION, "group": RESOURCE_GROUP, "workspace": WORKSPACE}


class ControlPlane:
    """The paths below the workspace's ARM id."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        for method, path, handler in (
            ("GET", "/datastores", self._datastores),
            ("GET", "/datastores/{name}", self._datastore),
            ("GET", "/batchEndpoints", self._endpoints),
            ("GET", "/batchEndpoints/{name}", self._endpoint),
            ("POST", "/jobs/{name}/cancel", self._cancel),
        ):
            app.router.add_route(method, _PREFIX + path, _in_workspace(handler))

    async def _datastores(self, request: web.Request) -> web.StreamResponse:
        stores = self._part.workspace.datastores.values()
        wanted = request.query.get("isDefault", "").lower()
        shown = [one for one in stores if wanted in ("", str(one.default).lower())]
        return page(request, shown, self._part.page_size, _datastore)

    async def _datastore(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        store = self._part.workspace.datastores.get(name)
        if store is None:
            return _not_found("datastore", name)
        return web.json_response(_datastore(store))

    async def _endpoints(self, request: web.Request) -> web.StreamResponse:
        endpoints = list(self._part.workspace.endpoints.values())
        return page(request, endpoints, self._part.page_size, self._document)

    async def _endpoint(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        endpoint = self._part.workspace.endpoints.get(name)
        if endpoint is None:
            return _not_found("batch endpoint", name)
        return web.json_response(self._document(endpoint))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        job = self._part.jobs.known(name)
        if job is None:
            return _not_found("job", name)
        return web.Response(status=202 if self._part.lifecycle.cancel(job) else 200)

    def _document(self, endpoint: Endpoint) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "authMode": "AADToken",
            "description": endpoint.description,
            "scoringUri": self._part.scoring_uri(endpoint.name),
            "provisioningState": "Succeeded",
        }
        if endpoint.default_deployment:
            properties["defaults"] = {"deploymentName": endpoint.default_deployment}
        return _resource("batchEndpoints", endpoint.name, properties) | {"location": LOCATION}


def _in_workspace(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        for what, ours in _OURS.items():
            said = request.match_info[what]
            if said.lower() != ours.lower():
                return _not_found(what, said)
        return await handler(request)

    return answer


def _datastore(store: Datastore) -> dict[str, Any]:
    holds = "containerName" if store.kind == "AzureBlob" else "filesystem"
    properties = {
        "datastoreType": store.kind,
        "isDefault": store.default,
        "accountName": store.account,
        holds: store.container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "credentials": {"credentialsType": "None"},
    }
    return _resource("datastores", store.name, properties)


def _resource(kind: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{WORKSPACE_ID}/{kind}/{name}",
        "name": name,
        "type": f"{_TYPE}/{kind}",
        "properties": properties,
    }


def _not_found(what: str, name: str) -> web.Response:
    return refused(404, "ResourceNotFound", f"The {what} {name!r} was not found.")
