"""What all ARM paths share: paths below the workspace's id, and documents of resources."""

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from local.azureml.answers import refused
from local.faults import Handler
from local.names import RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID

_OURS = {"subscription": SUBSCRIPTION, "group": RESOURCE_GROUP, "workspace": WORKSPACE}
_PREFIX = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)
_TYPE = "Microsoft.MachineLearningServices/workspaces"

Paths = Iterable[tuple[str, str, Handler]]


def add_paths(app: web.Application, paths: Paths) -> None:
    """Add paths below the workspace to an app; each is a method, a path and a handler."""
    for method, path, handler in paths:
        app.router.add_route(method, caseless(_PREFIX + path), _in_workspace(handler))


def caseless(path: str) -> str:
    """Return the pattern of a path whose fixed segments match in upper and lower case."""
    return "/".join(
        segment
        if not segment or segment.startswith("{")
        else f"{{_{place}:(?i:{re.escape(segment)})}}"
        for place, segment in enumerate(path.split("/"))
    )


def document(path: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return ARM's document of the resource at a path below the workspace; "": the workspace."""
    segments = path.split("/") if path else []
    return {
        "id": "/".join([WORKSPACE_ID, *segments]),
        "name": segments[-1] if segments else WORKSPACE,
        "type": "/".join([_TYPE, *segments[::2]]),
        "properties": properties,
        **more,
    }


def not_found(what: str, name: str) -> web.Response:
    """Return the answer for a resource that does not exist."""
    return refused(404, "ResourceNotFound", f"The {what} {name!r} was not found.")


def _in_workspace(handler: Handler) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        for what, ours in _OURS.items():
            name = request.match_info[what]
            if name.lower() != ours.lower():
                return not_found(what, name)
        return await handler(request)

    return answer
