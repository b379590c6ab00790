"""The worker library from outside: what goes in, what comes out, and a process around it."""

import asyncio
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

_SCRIPT = Path(__file__).with_name("run_app.py")
_SECONDS = 60.0  # for an app to run; it takes one or two


class Datum(msgspec.Struct, frozen=True, kw_only=True):
    """A value as it is on the wire between host and worker."""

    type: str
    value: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation that the host asks for."""

    function: str
    data: Datum
    metadata: dict[str, Datum] = {}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `answers_always` is False where the host would wait until its own timeout."""

    answered: bool
    ok: bool
    failure: str | None
    returns: bool
    lines: list[str]  # level and text


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run of an app."""

    python: str
    failure: str | None  # why the app has no functions
    functions: dict[str, Any]  # bindings, by name
    answers: list[Answer]


class Worker:
    """Runs apps in processes of their own."""

    def __init__(self, python: Path) -> None:
        self.python = python

    async def run(self, app: Path, settings: Mapping[str, str], *calls: Call) -> Ran:
        """Index an app and invoke its functions, one after the other.

        The settings are the whole environment of the process.
        Raises CalledProcessError if the process ends before it has answered.
        """
        command = [str(self.python), str(_SCRIPT), str(app)]
        process = await asyncio.create_subprocess_exec(
            *command,
            env=settings,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                out, err = await process.communicate(msgspec.json.encode(calls))
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, out, err)
        return msgspec.json.decode(out.splitlines()[-1], type=Ran)


def message(function: str, text: str) -> Call:
    """Return the invocation for a queue message, taken for the first time.

    Top-level members of a JSON object come as metadata, too, beside the queue's own.
    """
    members = json.loads(text) if text.startswith("{") else {}
    times = {
        "InsertionTime": '"2026-11-24T08:15:31+00:00"',
        "ExpirationTime": '"2026-12-01T08:15:31+00:00"',
        "NextVisibleTime": '"2026-11-24T08:25:31+00:00"',
    }
    metadata = {name: Datum(type="json", value=json.dumps(one)) for name, one in members.items()}
    metadata |= {name: Datum(type="json", value=time) for name, time in times.items()}
    metadata["Id"] = Datum(type="string", value="9f1d1f6e-0000-4000-8000-0000000000d1")
    metadata["PopReceipt"] = Datum(type="string", value="AgAAAAMAAAAAAAAA")
    metadata["DequeueCount"] = Datum(type="json", value="1")
    return Call(function=function, data=Datum(type="string", value=text), metadata=metadata)


def tick(function: str) -> Call:
    """Return the invocation by a timer of more than one tick a minute: it has no status."""
    payload = '{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}'
    return Call(function=function, data=Datum(type="json", value=payload))
