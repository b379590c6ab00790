"""The timer trigger: one host runs it, one run at a time, missed ticks become one."""

import asyncio
import fcntl
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from azure.functions.meta import Datum
from croniter import croniter

from local.host.connections import resolved
from local.host.invocations import Function

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_FIELDS = 6
_LOOK_FOR_LOCK = 60.0  # seconds between two looks for a timer that another host runs


class WrongScheduleError(Exception):
    """A schedule is no NCRONTAB expression of six fields; its function is disabled."""


class Schedule:
    """An NCRONTAB expression: seconds first, UTC, days of the week from 0 to 6."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        wrong = (
            f"The schedule expression '{expression}' was not recognized as a valid cron"
            " expression or timespan string."
        )
        if len(fields) != _FIELDS or "7" in fields[-1]:
            raise WrongScheduleError(wrong)
        if not croniter.is_valid(expression, second_at_beginning=True):
            raise WrongScheduleError(wrong)
        self._expression = expression

    def after(self, time: datetime) -> datetime:
        """Return the first tick after a time."""
        ticks = croniter(self._expression, time, second_at_beginning=True)
        found: datetime = ticks.get_next(datetime)
        return found

    @property
    def has_memory(self) -> bool:
        """Tell whether missed ticks are noticed: not with more than one tick a minute."""
        first = self.after(datetime(2026, 1, 1, tzinfo=UTC))
        return self.after(first) - first >= timedelta(minutes=1)


class TimerListener:
    """Runs one function by its schedule, while this host holds the timer's lock."""

    def __init__(self, function: Function, folder: Path, pace: float) -> None:
        self._function = function
        self._schedule = Schedule(resolved(str(function.trigger["schedule"])))
        self._status_file = folder / f"timer-{function.name}.json"
        self._lock_file = folder / f"timer-{function.name}.lock"
        self._look_for_lock = _LOOK_FOR_LOCK * pace
        self._run: asyncio.Task[bool] | None = None

    @property
    def working(self) -> set[asyncio.Task[bool]]:
        """The run in work, if any."""
        return {self._run} if self._run is not None and not self._run.done() else set()

    async def listen(self) -> None:
        """Run by the schedule until cancelled."""
        lock = await self._locked()
        try:
            await self._tick_for_ever()
        finally:
            lock.close()

    async def run_by_hand(self) -> bool:
        """Run once, beside the schedule."""
        return await self._invoke(past_due=False)

    async def _locked(self) -> IO[str]:
        lock = self._lock_file.open("w")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(self._look_for_lock)
            else:
                return lock

    async def _tick_for_ever(self) -> None:
        now = datetime.now(UTC)
        if self._schedule.has_memory:
            last, due = self._status()
            if due is not None and due < now:
                await self._tick(past_due=True)
            elif due is None:
                self._remember(last, self._schedule.after(now))
        due = self._schedule.after(datetime.now(UTC))
        while True:
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            began = datetime.now(UTC)
            await self._tick(past_due=False)
            # What was missed during an overrun becomes one run, at once.
            due = self._schedule.after(max(began, due))

    async def _tick(self, *, past_due: bool) -> None:
        began = datetime.now(UTC)
        self._run = asyncio.ensure_future(self._invoke(past_due=past_due))
        await self._run
        if self._schedule.has_memory:
            self._remember(began, self._schedule.after(began))

    async def _invoke(self, *, past_due: bool) -> bool:
        status = None
        if self._schedule.has_memory:
            last, due = self._status()
            status = {
                "Last": _text(last),
                "Next": _text(due or self._schedule.after(datetime.now(UTC))),
                "LastUpdated": _text(last),
            }
        payload = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": status,
            "IsPastDue": past_due,
        }
        return await self._function.invoke(
            "Timer fired", Datum(json.dumps(payload), "json"), {}, details=""
        )

    def _status(self) -> tuple[datetime, datetime | None]:
        try:
            kept = json.loads(self._status_file.read_text())
        except FileNotFoundError:
            return _NEVER, None
        return datetime.fromisoformat(kept["last"]), datetime.fromisoformat(kept["next"])

    def _remember(self, last: datetime, due: datetime) -> None:
        kept = {"last": last.isoformat(), "next": due.isoformat()}
        self._status_file.write_text(json.dumps(kept))


def _text(time: datetime) -> str:
    """Return a time as .NET writes it: seven decimals if there are any."""
    if time.microsecond:
        return time.strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")
    return f"{time.year:04d}-{time:%m-%dT%H:%M:%S}+00:00"
