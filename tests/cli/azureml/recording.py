"""A proxy before the local Azure Resource Manager that keeps the requests that change something."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from local.run_folder import RunFolder
from local.serving import serve


@dataclass(kw_only=True)
class Recorder:
    """The requests that came by, in order."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def changes(self) -> list[dict[str, Any]]:
        """Return those that do not only look what is there."""
        return [one for one in self.requests if one["method"] != "GET"]


@contextlib.asynccontextmanager
async def recording(folder: RunFolder, arm: str) -> AsyncIterator[Recorder]:
    """Run the proxy before an Azure Resource Manager."""
    recorder = Recorder()
    app = web.Application()
    connector = aiohttp.TCPConnector(ssl=folder.client_tls())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            recorder.requests.append(
                {
                    "method": request.method,
                    "path": request.path,
                    "query": dict(request.query),
                    **({"body": json.loads(body)} if body else {}),
                }
            )
            passed = {
                name: value
                for name, value in request.headers.items()
                if name.lower() in ("authorization", "content-type")
            }
            async with session.request(
                request.method, f"{arm}{request.raw_path}", headers=passed, data=body
            ) as source:
                kept = ("Azure-AsyncOperation", "Location", "Retry-After", "Content-Type")
                return web.Response(
                    status=source.status,
                    body=await source.read(),
                    headers={name: source.headers[name] for name in kept if name in source.headers},
                )

        app.router.add_route("*", "/{path:.*}", answer)
        async with serve(app, tls=folder.server_tls()) as url:
            recorder.url = url
            yield recorder
