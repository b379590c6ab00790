"""The commands of `python -m local`, as somebody types them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azure import APP
from local.demo import data
from local.deploy import deploy
from local.run_folder import RunFolder

PARTS = ("identity", "storage", "topic", "azureml")
SECONDS = 60.0


class Command:
    """A running command and what it prints."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def until(self, words: str) -> str:
        """Wait for a line that holds these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            async for raw in self.process.stdout:
                self.lines.append(raw.decode().rstrip())
                if words in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"ended without {words!r}:\n" + "\n".join(self.lines))

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            await self.process.communicate()
        return self.process.returncode or 0


@contextlib.asynccontextmanager
async def command(folder: Path, *words: str) -> AsyncIterator[Command]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("SSL_CERT_FILE", None)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local", *words, "--folder", str(folder)),
        cwd=APP,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    started = Command(process)
    try:
        yield started
    finally:
        if process.returncode is None:
            await started.end(signal.SIGTERM)


async def run(folder: Path, *words: str) -> tuple[int, list[str]]:
    """Run a command to its end; return its exit status and its lines."""
    async with command(folder, *words) as started:
        assert started.process.stdout is not None
        text = (await started.process.stdout.read()).decode()
        return await started.process.wait(), text.splitlines()


def running_parts(folder: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((folder / "local.json").read_text())
    return found


async def has_ended(pid: int) -> None:
    """Wait until a process that is not our child is no more."""
    with contextlib.suppress(ProcessLookupError):
        watch = os.pidfd_open(pid)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(watch, ended.set)
        async with asyncio.timeout(SECONDS):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)


def table(tmp_path: Path) -> Path:
    """Return a file that the demo's deployment can score."""
    file = tmp_path / "mine.csv"
    file.write_bytes(next(data.cancer_tables(10)).content)
    return file


async def test_up_runs_until_told_and_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "azure"
    async with command(folder, "up") as up:
        await up.until("Ctrl-C ends it all")
        dropped = await run(folder, "drop", str(table(tmp_path)), "--to", "landing/cancer/")
        assert dropped == (0, ["dropped landing/cancer/mine.csv"])
        result = (await up.until("announced landing/cancer/mine.csv")).split()[-1]
        status, rows = await run(folder, "get", result)
        assert (status, rows[0].split()[:2]) == (0, ["mine.csv", "0"])
        status, receipt = await run(folder, "get", f"{result}.receipt.json")
        assert (status, json.loads("".join(receipt))["status"]) == (0, "completed")
        parts = running_parts(folder)
        assert await up.end(signal.SIGINT) == 0
    for part in ("storage", "host"):
        await has_ended(int(str(parts[part]["pid"])))
    assert running_parts(folder) == {}


async def test_when_up_is_killed_everything_that_it_started_ends_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "azure"
    async with command(folder, "up") as up:
        await up.until("Ctrl-C ends it all")
        parts = running_parts(folder)
        await up.end(signal.SIGKILL)
    for part in ("storage", "host"):
        await has_ended(int(str(parts[part]["pid"])))


async def test_the_parts_can_be_started_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "azure"
    async with contextlib.AsyncExitStack() as parts:
        for part in PARTS:
            started = await parts.enter_async_context(command(folder, part))
            await started.until(": http")
        await deploy(RunFolder(folder))
        host = await parts.enter_async_context(command(folder, "host"))
        await host.until("Listening on")
        files = ("drop", str(table(tmp_path)), "--to", "landing/cancer")
        await run(folder, *files, "--metadata", "landfall_order=a=b")
        await host.until("announced job=")
    (event,) = map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    assert event["type"] == "Landfall.JobCompleted"
    assert event["data"]["correlation"] == {"landfall_order": "a=b"}


async def test_the_host_alone_says_what_it_misses(tmp_path: Path) -> None:
    status, lines = await run(tmp_path, "host")
    assert status == 1
    assert "start azureml, identity, storage, topic first" in "\n".join(lines)


async def test_nothing_can_be_dropped_where_nothing_runs(tmp_path: Path) -> None:
    status, lines = await run(tmp_path, "drop", str(table(tmp_path)), "--to", "landing/cancer")
    assert status == 1
    assert "no local Azure runs in" in lines[0]


async def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    async with command(tmp_path, "storage") as storage:
        await storage.until(": http")
        assert await run(tmp_path, "get", "no/such.csv") == (1, ["there is no no/such.csv"])
        missing = await run(tmp_path, "drop", "no.csv", "--to", "landing")
        assert missing == (1, ["no.csv: No such file or directory"])
        assert (await run(tmp_path, "storage"))[0] == 1, "it runs already"
        await storage.end(signal.SIGKILL)
    status, lines = await run(tmp_path, "get", "no/such.csv")
    assert (status, "does not answer" in lines[0]) == (1, True)


async def test_two_hosts_can_run_the_app(tmp_path: Path) -> None:
    async with command(tmp_path, "up", "--hosts", "2") as up:
        await up.until("Ctrl-C ends it all")
        assert {"host", "host-2"} <= set(running_parts(tmp_path))


async def test_a_folder_holds_one_local_azure(tmp_path: Path) -> None:
    async with command(tmp_path, "up") as up:
        await up.until("Ctrl-C ends it all")
        status, lines = await run(tmp_path, "demo")
    assert status == 1
    assert "identity runs already in" in lines[0]


async def test_the_demo_comes_true_and_says_so_in_its_last_line(tmp_path: Path) -> None:
    status, lines = await run(tmp_path, "demo")
    assert status == 0, lines
    assert lines[-1].startswith("demo ok: 13 jobs, 60 files, 13 events, 10 receipts, accuracy 0.9")


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_demo_is_no_success(tmp_path: Path, signal_: signal.Signals) -> None:
    async with command(tmp_path, "demo") as demo:
        await demo.until("claimed")
        assert await demo.end(signal_) == 130
    assert running_parts(tmp_path) == {}
