"""What control plane and scoring URIs share: errors in ARM's form, pages of listings, authorization."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web

from local.faults import ADMIN, Handler
from local.faults import PATH as FAULTS
from local.names import ARM_AUDIENCE, ML_AUDIENCE
from local.tokens import refusal

SCORING = "/endpoints/"
_SKIP = "$skipToken"

T = TypeVar("T")


def refused(
    status: int, code: str, message: str, *, details: Sequence[Mapping[str, Any]] = ()
) -> web.Response:
    """Return an error answer in ARM's form."""
    error: dict[str, Any] = {"code": code, "message": message}
    if details:
        error["details"] = details
    return web.json_response({"error": error}, status=status)


def page(
    request: web.Request,
    items: Sequence[T | None],
    size: int,
    document: Callable[[T], dict[str, Any]],
) -> web.Response:
    """Return a page of a listing and the link to the next; None counts as an item and is not shown."""
    token = request.query.get(_SKIP, "0")
    if not token.isdecimal():
        return refused(400, "InvalidSkipToken", f"{_SKIP} {token!r} is not valid")
    start, end = int(token), int(token) + size
    answer: dict[str, Any] = {
        "value": [document(item) for item in items[start:end] if item is not None]
    }
    if end < len(items):
        answer["nextLink"] = str(request.url.update_query({_SKIP: str(end)}))
    return web.json_response(answer)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check that a request has a token for its plane, and an api-version on ARM."""
    if request.path.startswith((ADMIN, FAULTS)):
        return await handler(request)
    on_arm = not request.path.startswith(SCORING)
    reason = refusal(request.headers.get("Authorization"), ARM_AUDIENCE if on_arm else ML_AUDIENCE)
    if reason:
        return refused(401, "InvalidAuthenticationToken", reason)
    if on_arm and not request.query.get("api-version"):
        message = "The api-version query parameter (?api-version=) is required for all requests."
        return refused(400, "MissingApiVersionParameter", message)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return refused(404, "NotFound", f"nothing answers {request.method} here")
    except web.HTTPMethodNotAllowed as other:
        answer = refused(405, "MethodNotAllowed", f"{request.method} is not for this path")
        answer.headers["Allow"] = other.headers["Allow"]
        return answer
