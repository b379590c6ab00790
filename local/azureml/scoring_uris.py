"""The scoring URIs: invoke an endpoint, list its jobs, get a job."""

import msgspec
from aiohttp import web

from local.azureml import invocation
from local.azureml.answers import SCORING, page, refused
from local.azureml.invocation import InvalidInvocation
from local.azureml.jobs import BatchJob, new_job
from local.azureml.part import AzureMl
from local.azureml.workspace import Deployment, Endpoint, named

_DEPLOYMENT = "azureml-model-deployment"
_REQUEST_ID = "repeatability_request-id"
_NO_DEFAULT = (
    "No valid deployments to route to. Please check that the endpoint has a default deployment,"
    " or name one in the azureml-model-deployment header."
)


class ScoringUris:
    """The paths of each endpoint's scoring URI."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        path = SCORING + "{endpoint}/jobs"
        app.router.add_post(path, self._invoke)
        app.router.add_get(path, self._list)
        app.router.add_get(path + "/{job}", self._get)

    async def _invoke(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return _unknown("endpoint", request)
        deployment = self._deployment(request, endpoint)
        if isinstance(deployment, web.Response):
            return deployment
        try:
            wanted = invocation.read(
                await request.read(),
                self._part.workspace,
                deployment.settings,
                decode_percent=self._part.decode_percent,
            )
        except InvalidInvocation as refusal:
            mistakes = msgspec.json.encode([refusal.mistake])
            return web.Response(status=400, body=mistakes, content_type="application/json")
        request_id = request.headers.get(_REQUEST_ID)
        job = new_job(endpoint.name, deployment.name, wanted, request_id)
        self._part.lifecycle.begin(job, deployment)
        return web.json_response(job.document(), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return _unknown("endpoint", request)
        listed = self._part.jobs.listed(endpoint.name)
        return page(request, listed, self._part.page_size, BatchJob.document)

    async def _get(self, request: web.Request) -> web.Response:
        job = self._part.jobs.known(request.match_info["job"], request.match_info["endpoint"])
        return _unknown("job", request) if job is None else web.json_response(job.document())

    def _endpoint(self, request: web.Request) -> Endpoint | None:
        return self._part.workspace.endpoint(request.match_info["endpoint"])

    def _deployment(self, request: web.Request, endpoint: Endpoint) -> Deployment | web.Response:
        """Return the deployment that a request names, else the default one; or a refusal."""
        name = request.headers.get(_DEPLOYMENT) or endpoint.default_deployment
        if name is None:
            return refused(400, "BadRequest", _NO_DEFAULT)
        found = named(endpoint.deployments, name)
        if found is not None:
            return found
        put = self._part.resources.get(f"batchEndpoints/{endpoint.name}/deployments/{name}")
        if put is not None:
            message = f"Deployment {name!r} cannot score: its provisioning state is {put.state}."
            return refused(400, "DeploymentNotReady", message)
        message = f"Endpoint {endpoint.name!r} has no deployment {name!r}."
        return refused(404, "DeploymentNotFound", message)


def _unknown(what: str, request: web.Request) -> web.Response:
    name = request.match_info[what]
    return refused(404, "NotFound", f"The {what} {name!r} was not found.")
