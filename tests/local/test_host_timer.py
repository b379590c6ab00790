"""The timer trigger: when a function runs, and with which data."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from azure.functions.meta import Datum

from local.host import Host
from local.host.invocations import Function
from local.host.timers import Schedule, TimerListener, WrongScheduleError, first_due, payload
from tests.local.apps.running import TIMERS, running

PACE = 0.005  # a host tries to get the lock of a timer every 0.3 s
SEVEN_DECIMALS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00"
NEVER = "0001-01-01T00:00:00+00:00"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-23T{text}+00:00")


@pytest.fixture(scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    async with running(TIMERS, tmp_path_factory.mktemp("host"), pace=PACE) as part:
        yield part


# Schedules


@pytest.mark.parametrize(
    ("expression", "time", "then"),
    [
        ("*/2 * * * * *", "15:00:00", "15:00:02"),
        ("*/2 * * * * *", "15:00:01.999999", "15:00:02"),
        ("0 */5 * * * *", "15:00:00.01", "15:05:00"),
        ("*/5 * * * *", "15:00:00", "15:05:00"),  # five fields: minutes first
        ("0 30 9 * * 1-5", "15:00:00", "09:30:00"),
    ],
)
def test_a_tick_is_the_first_after_a_time(expression: str, time: str, then: str) -> None:
    tick = Schedule(expression).after(at(time))
    assert tick == at(then) + timedelta(days=then < time)


@pytest.mark.parametrize(
    "expression", ["99 * * * * *", "0 0 0 * * 7", "", "* * * *", "* * * * * * *", "often"]
)
def test_a_wrong_schedule_is_refused(expression: str) -> None:
    with pytest.raises(WrongScheduleError, match="was not recognized as a valid cron expression"):
        Schedule(expression)


@pytest.mark.parametrize(
    ("expression", "is_monitored"),
    [("0 * * * * *", True), ("0 0 0 1 1 *", True), ("*/30 * * * * *", False)],
)
def test_only_a_timer_of_at_most_one_tick_a_minute_is_monitored(
    expression: str, is_monitored: bool
) -> None:
    assert Schedule(expression).is_monitored is is_monitored


@pytest.mark.parametrize(
    ("expression", "kept", "due", "past_due"),
    [
        ("0 */5 * * * *", None, "15:05:00", False),
        ("0 */5 * * * *", "15:05:00", "15:05:00", False),
        ("0 */5 * * * *", "14:55:00", "14:55:00", True),
        ("*/2 * * * * *", "14:55:00", "15:00:02", False),  # not monitored
    ],
)
def test_a_host_that_starts_runs_a_missed_tick_at_once(
    expression: str, kept: str | None, due: str, past_due: bool
) -> None:
    first = first_due(Schedule(expression), at(kept) if kept else None, at("15:00:01"))
    assert first == (at(due), past_due)


# The data of a run


def test_the_first_run_has_a_status_without_a_last_run() -> None:
    never = datetime(1, 1, 1, tzinfo=UTC)
    data = json.dumps(payload((never, at("15:05:00")), past_due=False), separators=(",", ":"))
    assert data == (
        '{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00",'
        '"Next":"2026-11-23T15:05:00+00:00","LastUpdated":"0001-01-01T00:00:00+00:00"},'
        '"IsPastDue":false}'
    )


def test_a_later_run_has_the_time_of_the_last_run_with_seven_decimals() -> None:
    data = payload((at("15:00:00.012345"), at("15:05:00")), past_due=False)
    assert data["ScheduleStatus"]["Last"] == "2026-11-23T15:00:00.0123450+00:00"
    assert data["ScheduleStatus"]["Next"] == "2026-11-23T15:05:00+00:00"


def test_a_timer_that_is_not_monitored_has_no_status() -> None:
    assert payload(None, past_due=False)["ScheduleStatus"] is None


class Recorder:
    """A function that records the data of its runs, each of which lasts until the gate is open."""

    name = "recorder"

    def __init__(self, schedule: str) -> None:
        self.trigger = {"schedule": schedule}
        self.runs: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()

    async def invoke(self, reason: str, data: Datum, metadata: Mapping[str, Datum]) -> bool:
        await self.runs.put(json.loads(data.value))
        return await self.gate.wait()

    async def next(self) -> Any:
        return await asyncio.wait_for(self.runs.get(), 10)


@contextlib.asynccontextmanager
async def listening(recorder: Recorder, folder: Path) -> AsyncIterator[TimerListener]:
    listener = TimerListener(cast("Function", recorder), folder, PACE)
    task = asyncio.create_task(listener.listen())
    try:
        yield listener
    finally:
        task.cancel()
        listener._lock.close()


async def test_a_timer_runs_at_its_tick_and_keeps_the_time_of_the_run(tmp_path: Path) -> None:
    """The schedule ticks once a year, 1.5 seconds from now."""
    tick = (datetime.now(UTC) + timedelta(seconds=1.5)).replace(microsecond=0)
    recorder = Recorder(yearly := f"{tick:%S %M %H %d %m} *")
    async with listening(recorder, tmp_path) as listener:
        first = await recorder.next()
        await listener.run_by_hand("")
        second = await recorder.next()
    assert first["ScheduleStatus"] == {"Last": NEVER, "Next": _text(tick), "LastUpdated": NEVER}
    assert first["IsPastDue"] is False
    assert re.fullmatch(SEVEN_DECIMALS, second["ScheduleStatus"]["Last"])
    assert second["ScheduleStatus"]["Next"] == _text(Schedule(yearly).after(tick))


async def test_ticks_during_a_run_become_one_run_right_after_it(tmp_path: Path) -> None:
    """Two ticks, then none for the rest of the minute; another timer shows that time has passed."""
    tick = datetime.now(UTC) + timedelta(seconds=1.5)
    then = tick + timedelta(seconds=1)
    recorder, clock = Recorder(f"{tick:%S},{then:%S} * * * * *"), Recorder("* * * * * *")
    recorder.gate.clear()
    (tmp_path / "clock").mkdir()
    async with listening(recorder, tmp_path), listening(clock, tmp_path / "clock"):
        await recorder.next()
        for _ in range(clock.runs.qsize() + 2):
            await clock.next()
        assert recorder.runs.empty()
        recorder.gate.set()
        assert (await recorder.next())["IsPastDue"] is False


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}+00:00"


# In a host


async def run_data(host: Host, prefix: str, times: int = 1) -> list[Any]:
    """Return the data that the n-th run of a function has logged: past due, status, schedule."""
    line = await host.until(rf"User.0. {prefix} \[", times=times)
    data: list[Any] = json.loads(line[line.index(f"{prefix} [") + len(prefix) :])
    return data


async def test_a_timer_of_many_ticks_a_minute_runs_at_each_and_has_no_status(
    host: Host,
) -> None:
    for times in (1, 2):
        assert await run_data(host, "beat", times) == [False, {}, {"AdjustForDST": True}]
    await host.until("Executed 'Functions.beat' .Succeeded", times=2)


async def test_a_run_that_fails_is_logged_and_not_retried_before_the_next_tick(
    host: Host,
) -> None:
    line = await host.until("^fail: .*Executed 'Functions.fails'", times=3)
    assert "ValueError: at this tick, False" in line
    assert sum("User[0] beat" in line for line in host.lines) >= 2


async def test_a_run_that_overruns_is_followed_at_once_by_one_that_is_not_past_due(
    host: Host,
) -> None:
    await host.until("slow begins")
    await host.until("beat", times=4)
    await host.run_by_hand("release")
    assert await run_data(host, "slow begins", 2) == [False, {}, {"AdjustForDST": True}]
    order = [line.split()[3] for line in host.lines if "User[0] slow" in line]
    assert order == ["begins", "ends", "begins"]


async def test_a_wrong_schedule_disables_its_function_only(host: Host) -> None:
    for expression in (r"99 \* \* \* \* \*", r"0 0 0 \* \* 7"):
        await host.until(rf"The schedule expression '{expression}' was not recognized as a valid")
    await host.until("'%NOSUCH%' does not resolve to a value")
    for name in ("no_such_second", "no_such_weekday", "no_such_setting"):
        await host.until(f"Function 'Functions.{name}' failed indexing and will be disabled")
        assert await host.run_by_hand(name) == 404
    await host.until("User.0. beat")


async def test_a_timer_that_missed_its_time_runs_at_the_start_and_then_by_schedule(
    tmp_path: Path,
) -> None:
    """The status that an earlier host has kept says when the run was due."""
    earlier = {"last": at("15:00:00.5").isoformat(), "next": at("16:00:00").isoformat()}
    (tmp_path / "timer-yearly.json").write_text(json.dumps(earlier))
    async with running(TIMERS, tmp_path, pace=PACE) as host:
        past_due, status, _ = await run_data(host, "yearly")
        assert (past_due, status["Next"]) == (True, "2026-11-23T16:00:00+00:00")
        assert status["Last"] == "2026-11-23T15:00:00.5000000+00:00"
        await host.until("Executed 'Functions.yearly' .Succ")
        await host.run_by_hand("yearly")
        past_due, status, _ = await run_data(host, "yearly", 2)
        assert past_due is False
        assert re.fullmatch(SEVEN_DECIMALS, status["Last"])
        assert status["Next"].endswith("-01-01T00:00:00+00:00")


async def test_one_of_two_hosts_runs_a_timer_and_the_other_takes_over_when_it_is_killed(
    tmp_path: Path,
) -> None:
    async with (
        running(TIMERS, tmp_path, pace=PACE) as first,
        running(TIMERS, tmp_path, pace=PACE) as second,
    ):
        had = sum("User[0] beat" in line for line in first.lines)
        await first.until("User.0. beat", times=had + 1)
        assert not [line for line in second.lines if "Executing" in line]
        await first.kill()
        await second.until("User.0. beat")


async def test_sigterm_lets_a_run_finish(tmp_path: Path) -> None:
    async with running(TIMERS, tmp_path) as host:
        await host.until("slow begins")
        host.terminate()
        await host.until("Application is shutting down")
        await host.run_by_hand("release")
        await host.until("Executed 'Functions.slow' .Succeeded")
        assert await host.ended() == 0
        assert sum("slow begins" in line for line in host.lines) == 1
