"""The paths where long operations are polled."""

from aiohttp import web

from local.azureml.answers import refused
from local.azureml.arm import caseless, not_found
from local.azureml.operations import RESULTS, STATUS
from local.azureml.part import AzureMl


class OperationPaths:
    """The paths that are in the headers of the answers to PUT and DELETE."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        app.router.add_get(caseless(f"{STATUS}/{{name}}"), self._status)
        app.router.add_get(caseless(f"{RESULTS}/{{name}}"), self._result)

    async def _status(self, request: web.Request) -> web.Response:
        operation = self._part.operations.get(request.match_info["name"])
        if operation is None:
            return not_found("operation", request.match_info["name"])
        return web.json_response(operation.document(), headers=operation.retry_after)

    async def _result(self, request: web.Request) -> web.Response:
        operation = self._part.operations.get(request.match_info["name"])
        if operation is None:
            return not_found("operation", request.match_info["name"])
        if operation.ended is None:
            headers = {"Location": str(request.url), **operation.retry_after}
            return web.Response(status=202, headers=headers)
        if operation.error is not None:
            return refused(400, operation.error.code, operation.error.message)
        result = operation.result()
        return web.Response(status=204) if result is None else web.json_response(result)
