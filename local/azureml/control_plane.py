"""The workspace, its datastores, and the cancel of a job."""

from typing import Any

from aiohttp import web

from local.azureml.answers import page
from local.azureml.arm import add_paths, document, not_found
from local.azureml.part import AzureMl
from local.azureml.workspace import Datastore
from local.names import LOCATION, WORKSPACE


class ControlPlane:
    """The paths of the workspace, its datastores and its jobs."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        add_paths(
            app,
            (
                ("GET", "", self._workspace),
                ("GET", "/datastores", self._datastores),
                ("GET", "/datastores/{name}", self._datastore),
                ("GET", "/jobs/{name}", self._job),
                ("POST", "/jobs/{name}/cancel", self._cancel),
            ),
        )

    async def _workspace(self, _: web.Request) -> web.StreamResponse:
        about = {"friendlyName": WORKSPACE, "provisioningState": "Succeeded"}
        return web.json_response(document("", about, location=LOCATION))

    async def _datastores(self, request: web.Request) -> web.StreamResponse:
        stores = self._part.workspace.datastores.values()
        wanted = request.query.get("isDefault", "").lower()
        shown = [one for one in stores if wanted in ("", str(one.default).lower())]
        return page(request, shown, self._part.page_size, _datastore)

    async def _datastore(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        store = self._part.workspace.datastores.get(name)
        if store is None:
            return not_found("datastore", name)
        return web.json_response(_datastore(store))

    async def _job(self, request: web.Request) -> web.StreamResponse:
        """Answer also for a job that its endpoint does not know any more."""
        name = request.match_info["name"]
        job = self._part.jobs.get(name)
        if job is None:
            return not_found("job", name)
        described = job.document()["properties"]
        properties = {"jobType": "Pipeline", "status": described["status"]}
        studio = {"Studio": described["interactionEndpoints"]["Studio"]}
        return web.json_response(document(f"jobs/{name}", {**properties, "services": studio}))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        job = self._part.jobs.known(name)
        if job is None:
            return not_found("job", name)
        return web.Response(status=202 if self._part.lifecycle.cancel(job) else 200)


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
    return document(f"datastores/{store.name}", properties)
