"""A small function host: runs an app's `function_app.py` as it is, in a process of its own.

It does what Microsoft's host was seen to do as far as an app can tell: queue and timer triggers,
retries and poison, one host for a timer, runs by hand, log lines. `start` starts it, or the Core
Tools' `func start` in its place.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Literal

import aiohttp

from local.run_folder import RunFolder

Program = Literal["local", "func"]

_LISTENING = re.compile(r"Listening on (?P<url>http://\S+)")
_ROOT = Path(__file__).parent.parent.parent  # where `local` is imported from
_STARTS_WITHIN = 30.0  # seconds
_ENDS_WITHIN = 15.0


class Host:
    """A running host process and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, tell: Callable[[str], None]) -> None:
        self.process = process
        self.url = ""
        self.lines: list[str] = []
        self._tell = tell
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """The id of the process, which leads its own session."""
        return self.process.pid

    async def until(self, words: str, *, seconds: float = 30.0, times: int = 1) -> str:
        """Wait for a line that matches a regular expression, the n-th of them; return it."""
        async with asyncio.timeout(seconds), self._changed:
            while True:
                found = [line for line in self.lines if re.search(words, line)]
                if len(found) >= times:
                    return found[times - 1]
                if self._reading.done():
                    raise RuntimeError("the host has ended:\n" + "\n".join(self.lines[-20:]))
                await self._changed.wait()

    async def run_by_hand(self, function: str, text: str = "") -> int:
        """Ask for one run over the admin path; return the answer's status."""
        url = f"{self.url}/admin/functions/{function}"
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json={"input": text}) as answer:
                return answer.status

    async def kill(self) -> None:
        """End the process as a power cut would."""
        self._signal(signal.SIGKILL)
        await self._reading
        await self.process.wait()

    async def stop(self) -> None:
        """End the process as the platform would: SIGTERM, and SIGKILL if it stays."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_ENDS_WITHIN):
                await self.process.wait()
        except TimeoutError:
            pass
        await self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            async with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
            self._tell(line)
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def start(
    folder: RunFolder,
    app: Path,
    settings: Mapping[str, str],
    *,
    name: str = "host",
    program: Program = "local",
    tell: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[Host]:
    """Run a host over the app in a folder until the block ends.

    `tell` is called with each line that it prints.
    """
    port = _free_port()
    command = _func(port) if program == "func" else _own(folder, port)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=app,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**20,
        start_new_session=True,
    )
    host = Host(process, tell)
    host.url = f"http://localhost:{port}"
    try:
        await _until_ready(host, program)
        with folder.announced(name, url=host.url, pid=host.pid):
            yield host
    finally:
        await host.stop()


def _own(folder: RunFolder, port: int) -> list[str]:
    module = [sys.executable, "-m", "local.host.runtime"]
    return [*module, "--folder", str(folder.path), "--port", str(port), "--lifeline"]


def _func(port: int) -> list[str]:
    """Return the command of the Core Tools: $FUNC, else `func` of the PATH."""
    found = os.environ.get("FUNC") or shutil.which("func")
    if found is None:
        raise FileNotFoundError(
            "the Azure Functions Core Tools are not there: put `func` on the PATH or name it in FUNC"
        )
    return [found, "start", "--port", str(port)]


async def _until_ready(host: Host, program: Program) -> None:
    if program == "local":
        await host.until(_LISTENING.pattern, seconds=_STARTS_WITHIN)
        return
    async with asyncio.timeout(4 * _STARTS_WITHIN), aiohttp.ClientSession() as session:
        while host.process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{host.url}/admin/host/status") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(0.2)  # the Core Tools say nothing that could be waited for
    raise RuntimeError("func start has ended:\n" + "\n".join(host.lines[-20:]))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
