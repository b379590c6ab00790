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
        self, process: asyncio.subprocess.Process, url: str, tell: Callable[[str], None]
    ) -> None:
        self.process = process
        self.url = url
        self.lines: list[str] = []
        self._tell = tell
        self._changes = Changes()
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(lambda _: self._changes.happened())

    @property
    def pid(self) -> int:
        """The id of the process, which leads its own session."""
        return self.process.pid

    async def until(self, words: str, *, seconds: float = 30.0, times: int = 1) -> str:
        """Wait for a line that matches a regular expression, the n-th of them; return it."""
        found: list[str] = []
        looked_at = 0

        def enough() -> bool:
            nonlocal looked_at
            found.extend(line for line in self.lines[looked_at:] if re.search(words, line))
            looked_at = len(self.lines)
            return len(found) >= times

        try:
            await self._changes.until(lambda: enough() or self._reading.done(), seconds=seconds)
        except TimeoutError:
            raise TimeoutError(f"no line {times} like {words!r}: {self.last_words()}") from None
        if len(found) < times:
            raise RuntimeError(f"the host has ended: {self.last_words()}")
        return found[times - 1]

    async def ended(self) -> int:
        """Wait until it has ended; return its exit code. All that it printed is then there."""
        await self._reading
        return await self.process.wait()

    def last_words(self) -> str:
        """Return the last lines that it has printed."""
        return "\n".join(["the last lines of the host", *self.lines[-20:]])

    async def run_by_hand(self, function: str, text: str = "") -> int:
        """Ask for one run over the admin path; return the answer's status."""
        url = f"{self.url}/admin/functions/{function}"
        body = {"input": text}
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            return answer.status

    async def stop(self) -> None:
        """End the process as the platform would: SIGTERM, and SIGKILL if it stays."""
        self.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN):
                # Process.wait would wait for its children as well, as long as they could print.
                while self.process.returncode is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        await self.kill()

    def terminate(self) -> None:
        """Send SIGTERM, to itself and not to its children."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()

    async def kill(self) -> None:
        """End the process as a power cut would, and its children with it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.ended()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self.lines.append(line)
            self._changes.happened()
            self._tell(line)


@contextlib.asynccontextmanager
async def start(
    folder: RunFolder,
    app: Path,
    settings: Mapping[str, str],
    *,
    name: str = "host",
    program: Program = "local",
    tell: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Host]:
    """Run a host over the app in a folder until the block ends.

    `tell` is called with each line that it prints.
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
    host = Host(process, url, tell)
    try:
        await (_until_it_answers(host) if program == "func" else _until_it_says_where(host))
        with folder.announced(name, url=host.url, pid=host.pid):
            yield host
    finally:
        await host.stop()


def _own(folder: RunFolder) -> list[str]:
    module = [sys.executable, "-m", "local.host.runtime"]
    return [*module, "--folder", str(folder.path), "--lifeline"]


def _func() -> tuple[list[str], str]:
    """Return the command of the Core Tools, $FUNC or else `func` of the PATH, and its URL."""
    wanted = os.environ.get("FUNC") or "func"
    found = shutil.which(wanted)
    if found is None:
        raise FileNotFoundError(
            f"the Azure Functions Core Tools are not there: no program {wanted!r}."
            " Put `func` on the PATH, or name it in FUNC"
        )
    port = _free_port()
    command = [str(Path(found).absolute()), "start", "--port", str(port)]
    return command, f"http://localhost:{port}"


def _path() -> str:
    """Return the PATH with this Python first: the Core Tools run the first that they find."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


async def _until_it_says_where(host: Host) -> None:
    line = await host.until(_LISTENING, seconds=_STARTS_WITHIN)
    host.url = line.rpartition(" ")[2]


async def _until_it_answers(host: Host) -> None:
    try:
        async with asyncio.timeout(4 * _STARTS_WITHIN), aiohttp.ClientSession() as session:
            while not await _answers(session, f"{host.url}/admin/host/status"):
                if host.process.returncode is not None:
                    await host.ended()
                    raise RuntimeError(f"func start has ended: {host.last_words()}")
                await asyncio.sleep(0.2)  # it prints nothing that could be waited for
    except TimeoutError:
        raise TimeoutError(f"func start does not answer: {host.last_words()}") from None


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
