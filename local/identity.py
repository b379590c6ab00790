"""The managed-identity endpoint, as App Service provides it to a function app.

`GET ?resource=…&api-version=2019-08-01[&client_id=…]` with the header X-IDENTITY-HEADER; see
"How to use managed identities for App Service and Azure Functions" in the Azure documentation.
"""

import collections
import contextlib
import secrets
import time
from collections.abc import AsyncIterator

from aiohttp import web

from local.faults import ADMIN, Faults
from local.run_folder import RunFolder
from local.serving import serve
from local.tokens import issue

_API_VERSION = "2019-08-01"


class Identity:
    """The running endpoint, which counts its requests."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.header = secrets.token_hex(16)
        self.lifetime = 86_400.0  # seconds for which a token is valid
        self.requests: collections.Counter[str] = collections.Counter()  # by resource
        self.faults = Faults()

    def app(self) -> web.Application:
        """Return the endpoint's web application."""
        app = web.Application()
        self.faults.install(app)
        app.router.add_get("/msi/token", self._token)
        app.router.add_get(f"{ADMIN}requests", self._list_requests)
        app.router.add_post(f"{ADMIN}lifetime", self._set_lifetime)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != self.header:
            return _refuse(401, "the header X-IDENTITY-HEADER is missing or wrong")
        resource = request.query.get("resource")
        if not resource or request.query.get("api-version") != _API_VERSION:
            return _refuse(400, f"resource and api-version={_API_VERSION} are required")
        client = request.query.get("client_id", "landfall")
        self.requests[resource] += 1
        return web.json_response(
            {
                "access_token": issue(resource, client=client, lifetime=self.lifetime),
                "expires_on": str(int(time.time() + self.lifetime)),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": client,
            }
        )

    async def _list_requests(self, _: web.Request) -> web.Response:
        return web.json_response(dict(self.requests))

    async def _set_lifetime(self, request: web.Request) -> web.Response:
        self.lifetime = float((await request.json())["seconds"])
        return web.Response(status=204)


def _refuse(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)


@contextlib.asynccontextmanager
async def start(folder: RunFolder) -> AsyncIterator[Identity]:
    """Run the endpoint: plain http on loopback, as in Azure."""
    part = Identity()
    with folder.alone("identity"):
        async with serve(part.app()) as url:
            part.endpoint = f"{url}/msi/token"
            with folder.announced("identity", endpoint=part.endpoint, header=part.header):
                yield part
