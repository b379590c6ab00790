"""The host process: `python -m local.host.runtime`, run in the folder of the app."""

import argparse
import asyncio
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from local.host import log
from local.host.connections import Json, MissingSettingError
from local.host.invocations import Function, index
from local.host.queues import QueueListener
from local.host.timers import TimerListener, WrongScheduleError
from local.serving import serve

PACE = "LANDFALL_HOST_PACE"
"""A setting: the factor by which the host's long times are multiplied, 1 by default."""

_GRACE = 10.0  # seconds that runs have to finish after SIGTERM

Listener = QueueListener | TimerListener


class Runtime:
    """The functions of an app and their listeners."""

    def __init__(self, app: Path, folder: Path) -> None:
        self._pace = float(os.environ.get(PACE, "1"))
        self._folder = folder
        self._options: Json = json.loads((app / "host.json").read_text())
        self._began = time.monotonic()
        self._functions = _indexed(app)
        self.listeners: dict[str, Listener] = {}
        self._by_hand: set[asyncio.Task[Any]] = set()

    def connect(self) -> None:
        """Make a listener for each function; if that fails, the function is disabled."""
        for function in self._functions:
            try:
                self.listeners[function.name] = self._listener(function)
            except (MissingSettingError, WrongScheduleError) as mistake:
                log.write("fail", "Host.Startup[0]", str(mistake))
                name = f"Functions.{function.name}"
                text = f"Function '{name}' failed indexing and will be disabled."
                log.write("warn", "Host.Startup[0]", text)

    def _listener(self, function: Function) -> Listener:
        if function.trigger["type"] == "timerTrigger":
            return TimerListener(function, self._folder, self._pace)
        options = self._options.get("extensions", {}).get("queues", {})
        return QueueListener(function, options, self._pace)

    def admin(self) -> web.Application:
        """Return the web application of the admin paths."""
        app = web.Application()
        app.router.add_post("/admin/functions/{name}", self._run_by_hand)
        app.router.add_get("/admin/host/status", self._status)
        app.router.add_get("/admin/host/ping", self._ping)
        return app

    async def shut_down(self, listening: set[asyncio.Task[None]]) -> None:
        """Stop listening, and give running functions some time to finish."""
        for task in listening:
            task.cancel()
        await self._wait_for(listening)
        log.write("info", "Microsoft.Hosting.Lifetime[0]", "Application is shutting down...")
        await self._wait_for(self._by_hand.union(*(one.working for one in self.listeners.values())))

    async def _wait_for(self, tasks: set[asyncio.Task[Any]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=_GRACE * self._pace)

    async def _run_by_hand(self, request: web.Request) -> web.Response:
        listener = self.listeners.get(request.match_info["name"])
        if listener is None:
            return web.Response(status=404)
        try:
            text = (await request.json())["input"]
        except (ValueError, KeyError, TypeError):
            return web.Response(status=400)
        if not isinstance(text, str):
            return web.Response(status=400)
        task = asyncio.ensure_future(listener.run_by_hand(text))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return web.Response(status=202)

    async def _status(self, _: web.Request) -> web.Response:
        uptime = 1000 * (time.monotonic() - self._began)
        return web.json_response(
            {"state": "Running", "version": "local", "processUptime": int(uptime)}
        )

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response()


def _indexed(app: Path) -> list[Function]:
    sys.path.insert(0, str(app))
    log.capture_logging()
    try:
        return index(importlib.import_module("function_app"))
    except Exception as fault:  # noqa: BLE001
        result = f"Result: Failure Exception: {type(fault).__name__}: {fault}"
        log.write("fail", "Host.Function.Console[0]", f"Worker failed to index functions {result}")
        return []


async def _main(folder: Path, port: int, *, lifeline: bool) -> None:
    runtime = Runtime(Path.cwd(), folder)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline:
        loop.add_reader(sys.stdin.fileno(), _end_with_parent)
    runtime.connect()
    async with serve(runtime.admin(), port=port) as url:
        listening = {asyncio.create_task(one.listen()) for one in runtime.listeners.values()}
        log.write("info", "Host.Startup[0]", f"Listening on {url}")
        ended, _ = await asyncio.wait(
            {asyncio.create_task(stop.wait()), *listening}, return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            task.result()  # raises if a listener failed, which is a bug of this host
        await runtime.shut_down(listening)
        os._exit(0)  # running functions are cut off here, as when the platform removes a host


def _end_with_parent() -> None:
    if not os.read(sys.stdin.fileno(), 1):
        os._exit(1)


def run(argv: list[str] | None = None) -> None:
    """Run the host until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.host.runtime")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lifeline", action="store_true", help="end when standard input ends")
    options = parser.parse_args(argv)
    asyncio.run(_main(options.folder, options.port, lifeline=options.lifeline))


if __name__ == "__main__":
    run()
