"""The Core Tools in place of the host: how `func start` is started, called and ended."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from local import host as host_part
from local.run_folder import RunFolder

# Behaves like `func start`: the status is 503 at first, and its worker outlives it.
PROGRAM = f"""#!{sys.executable}
import http.server, json, os, pathlib, signal, subprocess, sys

def log(*words):
    # In one write: the worker writes to the same pipe.
    os.write(1, (" ".join(words) + "\\n").encode())

class Admin(http.server.BaseHTTPRequestHandler):
    ready = False

    def do_GET(self):
        self.send_response(200 if Admin.ready else 503)
        Admin.ready = True
        self.send_header("Content-Length", "0")
        self.end_headers()
        log("asked for", self.path)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        log("posted", self.path, body)

    def log_message(self, *_):
        pass

def end(*_):
    log("asked to end")
    os._exit(0)

signal.signal(signal.SIGTERM, end)
worker = "import os, signal; os.write(1, b'worker\\\\n'); signal.pause()"
subprocess.Popen([sys.executable, "-c", worker])
started = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
pathlib.Path(__file__).with_name("started.json").write_text(json.dumps(started))
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Admin).serve_forever()
"""
ENDS_EARLY = f"#!{sys.executable}\nprint('no worker runtime')\nraise SystemExit(1)\n"


def stand_in(folder: Path, text: str = PROGRAM) -> Path:
    folder.mkdir()
    program = folder / "func"
    program.write_text(text)
    program.chmod(0o755)
    return program


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    return path


@pytest.mark.parametrize("named", [True, False], ids=["by FUNC", "by the PATH"])
async def test_the_core_tools_run_in_the_place_of_the_host(
    named: bool, app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the app's folder, with the same settings, and with this Python first on the PATH.

    The block can only end once all started processes have ended: they write to the same pipe.
    """
    program = stand_in(tmp_path / "tools")
    if named:
        monkeypatch.setenv("FUNC", str(program))
    else:
        monkeypatch.delenv("FUNC", raising=False)
        monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), os.environ["PATH"]]))
    folder = RunFolder(tmp_path / "run")
    lines: list[str] = []
    settings = {"SETTING": "ünï", "AzureWebJobsStorage__credential": "managedidentity"}
    async with host_part.start(
        folder, app, settings, name="tools", program="func", on_line=lines.append
    ) as host:
        started: dict[str, Any] = json.loads(program.with_name("started.json").read_text())
        assert folder.addresses()["tools"] == {"url": host.url, "pid": host.pid}
        assert await host.run_by_hand("poll", "text") == 202
        await host.until("^worker$")
        await host.until('^posted /admin/functions/poll {"input": "text"}$')
    assert started["argv"] == ["start", "--port", host.url.rpartition(":")[2]]
    assert started["cwd"] == str(app)
    assert started["env"].items() >= settings.items()
    assert started["env"]["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert lines.count("asked for /admin/host/status") == 2
    assert lines[-1] == "asked to end"
    assert "tools" not in folder.addresses()


async def test_a_missing_program_is_named(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    monkeypatch.setenv("FUNC", str(tmp_path / "nowhere"))
    with pytest.raises(
        FileNotFoundError, match=r"Core Tools were not found: no program '.*nowhere'"
    ):
        await host_part.start(folder, app, {}, program="func").__aenter__()
    monkeypatch.setenv("FUNC", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no program 'func'.*PATH, or name it in FUNC"):
        await host_part.start(folder, app, {}, program="func").__aenter__()


async def test_a_program_that_ends_early_is_quoted(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNC", str(stand_in(tmp_path / "tools", ENDS_EARLY)))
    with pytest.raises(RuntimeError, match=r"func start has ended: (?s:.*)no worker runtime"):
        async with host_part.start(RunFolder(tmp_path / "run"), app, {}, program="func"):
            await asyncio.Event().wait()
