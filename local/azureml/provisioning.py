"""PUT and DELETE as long operations: a state, an operation to poll, an effect at the end.

```
(none) → Creating ─┬→ Succeeded → Updating ─┬→ Succeeded
                   │      └→ Deleting → (none)
                   └→ Failed, Canceled      └→ Failed, Canceled     another PUT repairs it
```
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from local.azureml.answers import refused
from local.azureml.operations import Operation, Verb
from local.azureml.part import AzureMl
from local.azureml.resources import Resource

Document = Callable[[Resource], dict[str, Any]]
Effect = Callable[[Operation], None]


def nothing(_: Operation) -> None:
    """Do nothing at the end of an operation."""


class Provisioning:
    """Long operations on one kind of resource."""

    def __init__(self, part: AzureMl, document: Document, *, in_properties: bool) -> None:
        self._part = part
        self._document = document
        self._in_properties = in_properties  # whether documents have the operation's URI

    def conflict(self, path: str, *, below: bool = False) -> web.Response | None:
        """Return a refusal if an operation is in progress on a resource, or on one below it."""
        running = self._part.operations.in_progress(path, below=below)
        if running is None:
            return None
        message = f"Another operation is in progress on {running.path}: {running.verb}."
        return refused(409, "Conflict", message)

    def put(
        self, request: web.Request, path: str, body: Any, ended: Effect = nothing
    ) -> web.Response:
        """Begin to create or replace a resource; `ended` is called at the end."""
        resource = self._part.resources.get(path)
        status = 201 if resource is None else 200
        if resource is None:
            resource = self._part.resources.add(Resource(path=path, body=body, state="Creating"))
        else:
            resource.replace(body)
            resource.state = "Updating"
        headers = self._begin(request, resource, "PUT", ended)
        return web.json_response(self._document(resource), status=status, headers=headers)

    def delete(
        self, request: web.Request, resource: Resource, ended: Effect = nothing
    ) -> web.Response:
        """Begin to delete a resource; `ended` is called at the end."""
        resource.state = "Deleting"
        return web.Response(status=202, headers=self._begin(request, resource, "DELETE", ended))

    def _begin(
        self, request: web.Request, resource: Resource, verb: Verb, ended: Effect
    ) -> dict[str, str]:
        """Begin an operation; return the headers that say where to poll it."""

        def end(operation: Operation) -> None:
            resource.state = operation.status
            if verb == "DELETE" and operation.error is None:
                self._part.resources.remove(resource.path)
            ended(operation)

        operation = self._part.operations.begin(
            resource.path,
            verb,
            end=end,
            result=lambda: self._document(resource) if verb == "PUT" else None,
        )
        version = f"?{urlencode({'api-version': request.query['api-version']})}"
        status = f"{self._part.url}{operation.status_path}{version}"
        if self._in_properties:
            resource.operation_uri = status
        return {
            "Azure-AsyncOperation": status,
            "Location": f"{self._part.url}{operation.result_path}{version}",
            **operation.retry_after,
        }
