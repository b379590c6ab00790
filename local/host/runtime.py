"""The host's process: `python -m local.host.runtime`, in the folder of the app."""

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum

from local.host.connections import Json, MissingSettingError
from local.host.invocations import Function, index, say, take_over_logging
from local.host.queues import QueueListener
from local.host.timers import TimerListener, WrongScheduleError
from local.serving import serve

PACE = "LANDFALL_HOST_PACE"
"""The setting that shortens the host's long times: a factor, 1 by default."""

_GRACE = 10.0  # seconds that runs have to finish after SIGTERM

Listener = QueueListener | TimerListener


class Runtime:
    """The functions of an app and what feeds them."""

    def __init__(self, app: Path, folder: Path) -> None:
        self._pace = float(os.environ.get(PACE, "1"))
        self._folder = folder
        self._options: Json = json.loads((app / "host.json").read_text())
        self._began = time.monotonic()
        self.functions = {function.name: function for function in _indexed(app)}
        self.listeners: dict[str, Listener] = {}
        self._by_hand: set[asyncio.Task[Any]] = set()

    def connect(self) -> None:
        """Make a listener for each function; one that cannot be made disables its function."""
        for function in self.functions.values():
            try:
                self.listeners[function.name] = self._listener(function)
            except (MissingSettingError, WrongScheduleError) as mistake:
                say("fail", "Host.Startup[0]", str(mistake))
                name = f"Functions.{function.name}"
                text = f"Function '{name}' failed indexing and will be disabled."
                say("warn", "Host.Startup[0]", text)

    def _listener(self, function: Function) -> Listener:
        if function.trigger["type"] == "timerTrigger":
            return TimerListener(function, self._folder, self._pace)
        options = self._options.get("extensions", {}).get("queues", {})
        return QueueListener(function, options, self._pace)

    def admin(self) -> web.Application:
        """Return the admin paths."""
        app = web.Application()
        app.router.add_post("/admin/functions/{name}", self._run_by_hand)
        app.router.add_get("/admin/host/status", self._status)
        app.router.add_get("/admin/host/ping", self._ping)
        return app

    async def wind_down(self) -> None:
        """Let what runs finish, for a while."""
        work: set[asyncio.Task[Any]] = set(self._by_hand)
        for listener in self.listeners.values():
            work |= listener.working
        if work:
            await asyncio.wait(work, timeout=_GRACE * self._pace)

    async def _run_by_hand(self, request: web.Request) -> web.Response:
        function = self.functions.get(request.match_info["name"])
        if function is None:
            return web.Response(status=404)
        try:
            text = (await request.json())["input"]
        except (ValueError, KeyError, TypeError):
            return web.Response(status=400)
        if not isinstance(text, str):
            return web.Response(status=400)
        task = asyncio.ensure_future(self._once(function, text))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)
        return web.Response(status=202)

    async def _once(self, function: Function, text: str) -> bool:
        listener = self.listeners.get(function.name)
        if isinstance(listener, TimerListener):
            return await listener.run_by_hand()
        reason = "This function was programmatically called via the host APIs."
        metadata = {"DequeueCount": Datum("0", "json")}
        return await function.invoke(reason, Datum(text.encode(), "bytes"), metadata)

    async def _status(self, _: web.Request) -> web.Response:
        uptime = 1000 * (time.monotonic() - self._began)
        return web.json_response(
            {"state": "Running", "version": "local", "processUptime": int(uptime)}
        )

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response()


def _indexed(app: Path) -> list[Function]:
    sys.path.insert(0, str(app))
    take_over_logging()
    try:
        return index(importlib.import_module("function_app"))
    except Exception as fault:  # noqa: BLE001
        text = f"Worker failed to index functions Exception: {type(fault).__name__}: {fault}"
        say("fail", "Host.Function.Console[0]", text)
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
        listening = [asyncio.create_task(one.listen()) for one in runtime.listeners.values()]
        say("info", "Host.Startup[0]", f"Listening on {url}")
        await stop.wait()
        for task in listening:
            task.cancel()
        await runtime.wind_down()
    sys.stdout.flush()
    os._exit(0)  # what still runs stops where it is, as everything does when the platform leaves


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
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(options.folder, options.port, lifeline=options.lifeline))


if __name__ == "__main__":
    run()
