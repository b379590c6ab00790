"""A small function host: runs an app's `function_app.py` unchanged, in a separate process.

It copies the observed behaviour of Microsoft's host, as far as an app can notice: queue and timer
triggers, retries and poison queues, timers that run on one host only, runs by hand, log lines.
`start` starts it, or the Core Tools' `func start` in its place.
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

from local.changes import Changes
from local.run_folder import RunFolder

Program = Literal["local", "func"]

_LISTENING = r"^info: Host.Startup.0. Listening on http://\S+$"
_LONGEST_LINE = 2**24  # bytes
_ROOT = Path(__file__).parent.parent.parent  # where `local` is imported from
_STARTS_WITHIN = 30.0  # seconds
_ENDS_WITHIN = 15.0


class Host:
    """A running host process and what it has printed."""

    def __init__(
        self, process: asyncio.subprocess.Process, url: str, on_line: Callable[[str], None]
    ) -> None:
        self.process = process
        self.url = url
        self.lines: list[str] = []
        self._on_line = on_line
        self._changes = Changes()
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(lambda _: self._changes.happened())

    @property
    def pid(self) -> int:
        """The id of the process, which is the leader of its own session."""
        return self.process.pid

    async def until(self, pattern: str, *, seconds: float = 30.0, times: int = 1) -> str:
        """Wait for the n-th line that matches a regular expression, n being `times`; return it."""
        found: list[str] = []
        looked_at = 0

        def enough() -> bool:
            nonlocal looked_at
            found.extend(line for line in self.lines[looked_at:] if re.search(pattern, line))
            looked_at = len(self.lines)
            return len(found) >= times

        try:
            await self._changes.until(lambda: enough() or self._reading.done(), seconds=seconds)
        except TimeoutError:
            raise TimeoutError(f"no line {times} like {pattern!r}: {self.last_lines()}") from None
        if len(found) < times:
            raise RuntimeError(f"the host has ended: {self.last_lines()}")
        return found[times - 1]

    async def ended(self) -> int:
        """Wait until the process has ended; return its exit code. `lines` are complete then."""
        await self._reading
        return await self.process.wait()

    def last_lines(self) -> str:
        """Return the last lines that the host has printed."""
        return "\n".join(["the last lines of the host", *self.lines[-20:]])

    async def run_by_hand(self, function: str, text: str = "") -> int:
        """Request a run over the admin path; return the status of the answer."""
        url = f"{self.url}/admin/functions/{function}"
        body = {"input": text}
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            return answer.status

    async def stop(self) -> None:
        """End the process as the platform would: SIGTERM, then SIGKILL if it still runs."""
        self.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN):
                # Process.wait would also wait for children that hold the output open.
                while self.process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        await self.kill()

    def terminate(self) -> None:
        """Send SIGTERM to the process, not to its children."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    async def kill(self) -> None:
        """Kill the process and its children, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.ended()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self.lines.append(line)
            self._changes.happened()
            self._on_line(line)


@contextlib.asynccontextmanager
async def start(
    folder: RunFolder,
    app: Path,
    settings: Mapping[str, str],
    *,
    name: str = "host",
    program: Program = "local",
    on_line: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Host]:
    """Run a host with the app of a folder until the block ends.

    `on_line` is called with each line that it prints.
    """
    command, url = _func() if program == "func" else (_own(folder), "")
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=app,
        env={**os.environ, "PATH": _path(), "PYTHONPATH": str(_ROOT), **settings},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_LONGEST_LINE,
        start_new_session=True,
    )
    host = Host(process, url, on_line)
    try:
        await (_until_it_answers(host) if program == "func" else _until_it_listens(host))
        with folder.announced(name, url=host.url, pid=host.pid):
            yield host
    finally:
        await host.stop()


def _own(folder: RunFolder) -> list[str]:
    module = [sys.executable, "-m", "local.host.runtime"]
    return [*module, "--folder", str(folder.path), "--lifeline"]


def _func() -> tuple[list[str], str]:
    """Return the command of the Core Tools ($FUNC, else `func` of the PATH) and its URL."""
    wanted = os.environ.get("FUNC") or "func"
    found = shutil.which(wanted)
    if found is None:
        raise FileNotFoundError(
            f"the Azure Functions Core Tools were not found: no program {wanted!r}."
            " Put `func` on the PATH, or name it in FUNC"
        )
    port = _free_port()
    command = [str(Path(found).absolute()), "start", "--port", str(port)]
    return command, f"http://localhost:{port}"


def _path() -> str:
    """Return the PATH with this Python first, so that the Core Tools find and run it."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


async def _until_it_listens(host: Host) -> None:
    line = await host.until(_LISTENING, seconds=_STARTS_WITHIN)
    host.url = line.rpartition(" ")[2]


async def _until_it_answers(host: Host) -> None:
    try:
        async with asyncio.timeout(4 * _STARTS_WITHIN), aiohttp.ClientSession() as session:
            while not await _answers(session, f"{host.url}/admin/host/status"):
                if host.process.returncode is not None:
                    await host.ended()
                    raise RuntimeError(f"func start has ended: {host.last_lines()}")
                await asyncio.sleep(0.2)  # it prints no line that says that it is ready
    except TimeoutError:
        raise TimeoutError(f"func start does not answer: {host.last_lines()}") from None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.ok
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
