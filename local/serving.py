"""Serves a part over HTTP on loopback."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def serve(
    app: web.Application, *, tls: ssl.SSLContext | None = None, port: int = 0, **protocol: Any
) -> AsyncIterator[str]:
    """Serve `app` on loopback, on a free port unless `port` names one; yield its base URL.

    `protocol` has options of aiohttp's HTTP protocol, such as `max_line_size`.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, **protocol)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port, ssl_context=tls)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"{'https' if tls else 'http'}://localhost:{bound}"
    finally:
        await runner.cleanup()
