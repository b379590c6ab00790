"""An app in the host: errors in the app, and its log."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from local.host import Host
from local.storage import Storage
from tests.local.apps.running import SAMPLE, new_queue, running, settings_for

PACE = 0.05
HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
TIMER = '@app.timer_trigger(arg_name="timer", schedule="* * * * * *")\nasync def '
GOOD = f"{TIMER}good(timer: func.TimerRequest) -> None: ...\n"
ERRORS = {
    "import nowhere\n": "ModuleNotFoundError: No module named 'nowhere'",
    "def (:\n": "SyntaxError: invalid syntax",
    f"{TIMER}bad(tick: func.TimerRequest) -> None: ...\n": "FunctionLoadError: .* the bad function",
    f"{TIMER}bad(timer: func.TimerRequest, more=1) -> None: ...\n": "FunctionLoadError: .*more",
    f"{TIMER}bad(timer: dict) -> None: ...\n": "FunctionLoadError: .*annotation .*dict",
    GOOD: "ValueError: Function good does not have a unique function name",
}


@pytest.fixture(scope="module")
async def host(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, folder, settings_for(queue, storage), pace=PACE) as part,
    ):
        yield part


async def state(host: Host) -> str:
    url = f"{host.url}/admin/host/status"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        known = await answer.json()
        assert set(known) >= {"state", "version", "processUptime"}
        return str(known["state"])


# Errors in the app


@pytest.mark.parametrize("error", ERRORS, ids=["import", "syntax", "name", "more", "type", "twice"])
async def test_with_one_error_in_the_app_it_has_no_function_at_all(
    error: str, tmp_path: Path
) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"}))
    (tmp_path / "function_app.py").write_text(HEAD + GOOD + error)
    async with running(tmp_path, tmp_path / "folder") as host:
        await host.until(f"Worker failed to index functions .*Exception: {ERRORS[error]}")
        assert await state(host) == "Running"
        assert await host.run_by_hand("good") == 404


async def test_a_trigger_without_its_connection_is_disabled(tmp_path: Path) -> None:
    async with running(SAMPLE, tmp_path, {"QUEUE": "q", "POISON": "p"}) as host:
        await host.until("Storage account connection string 'AzureWebJobsStorage' does not exist")
        await host.until("'Functions.work' failed indexing and will be disabled")


# Logs


async def talk(host: Host, about: str) -> list[str]:
    """Run `talk` by hand; return the lines that the app has logged by its end."""
    done = sum("Executed 'Functions.talk'" in line for line in host.lines)
    assert await host.run_by_hand("talk", about) == 202
    await host.until("Executed 'Functions.talk' .Succeeded", times=done + 1)
    begun = [i for i, line in enumerate(host.lines) if "Executing 'Functions.talk'" in line]
    return [line for line in host.lines[begun[-1] :] if "Function.talk.User[0]" in line]


async def test_a_line_has_its_level_and_its_function_and_no_more(host: Host) -> None:
    assert await talk(host, "levels") == [
        f"{level}: Function.talk.User[0] level {word}"
        for level, word in {
            "info": "info",
            "warn": "warning",
            "fail": "error",
            "crit": "critical",
        }.items()
    ]


async def test_a_traceback_is_in_the_line_of_its_record(host: Host) -> None:
    (line,) = await talk(host, "traceback")
    assert re.fullmatch(
        r"fail: Function.talk.User\[0\] could not Traceback \(most recent .* KeyError: 'lost'", line
    )


async def test_a_long_line_is_whole(host: Host) -> None:
    (line,) = await talk(host, "long")
    assert line == f"info: Function.talk.User[0] long {'ü' * 40_000} end"


async def test_all_characters_but_line_ends_are_kept(host: Host) -> None:
    (line,) = await talk(host, "characters")
    assert line == "info: Function.talk.User[0] 漢字 😀 \u2028 \x85 \x1c \\udcff end"
    (line,) = await talk(host, "line ends")
    assert line == "info: Function.talk.User[0] one two three four"


async def test_a_function_that_is_not_async_logs_as_well(host: Host) -> None:
    await host.run_by_hand("talk_in_a_thread", "hello")
    await host.until("^info: Function.talk_in_a_thread.User.0. not async: hello$")


async def test_a_task_of_a_run_logs_for_its_function(host: Host) -> None:
    assert await talk(host, "inside") == ["info: Function.talk.User[0] from a task inside"]


async def test_lines_from_outside_of_runs_are_dropped(host: Host) -> None:
    """At import, from threads, and from tasks that outlive their run."""
    assert await talk(host, "outside") == []
    await host.run_by_hand("release", "1")
    await host.until("the task has logged")
    outside = re.compile("at import|from a thread|outlived|Auth")
    assert not [line for line in host.lines if outside.search(line)]


async def test_a_line_that_never_comes_is_reported_with_the_last_lines(host: Host) -> None:
    with pytest.raises(TimeoutError, match=r"no line 1 like 'never': (?s:.*)Function\."):
        await host.until("never", seconds=0)
