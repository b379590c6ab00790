"""The timer trigger: one host runs it, one run at a time, missed ticks become one."""

import asyncio
import fcntl
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.functions.meta import Datum
from croniter import croniter

from local.host.connections import Json, resolved
from local.host.invocations import Function

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_FIELDS = 6
_LOOK_FOR_LOCK = 60.0  # seconds between two looks for a timer that another host runs


class WrongScheduleError(Exception):
    """A schedule is no NCRONTAB expression; its function is disabled."""


class Schedule:
    """An NCRONTAB expression: seconds first if there are six fields, UTC, weekdays from 0 to 6."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) == _FIELDS - 1:
            fields = ["0", *fields]
        wrong = (
            f"The schedule expression '{expression}' was not recognized as a valid cron"
            " expression or timespan string."
        )
        if len(fields) != _FIELDS or "7" in fields[-1]:
            raise WrongScheduleError(wrong)
        self._expression = " ".join(fields)
        if not croniter.is_valid(self._expression, second_at_beginning=True):
            raise WrongScheduleError(wrong)

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


def first_due(schedule: Schedule, kept: datetime | None, now: datetime) -> tuple[datetime, bool]:
    """Return when a host that starts runs the timer first, and whether that is past due.

    `kept` is when the hosts before it would have run it.
    """
    if schedule.has_memory and kept is not None and kept < now:
        return kept, True
    return schedule.after(now), False


def payload(kept: tuple[datetime, datetime] | None, *, past_due: bool) -> Json:
    """Return what a run is told; `kept` are the run before and the scheduled time of this one."""
    last, due = map(_text, kept) if kept else ("", "")
    status = {"Last": last, "Next": due, "LastUpdated": last}
    return {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": status if kept else None,
        "IsPastDue": past_due,
    }


class TimerListener:
    """Runs one function by its schedule, while this host holds the timer's lock."""

    def __init__(self, function: Function, folder: Path, pace: float) -> None:
        self._function = function
        self._schedule = Schedule(resolved(str(function.trigger["schedule"])))
        self._status_file = folder / f"timer-{function.name}.json"
        self._lock = (folder / f"timer-{function.name}.lock").open("w")
        self._look_for_lock = _LOOK_FOR_LOCK * pace
        self.working: set[asyncio.Task[Any]] = set()

    async def listen(self) -> None:
        """Run by the schedule until cancelled: never two runs at once, missed ticks become one."""
        await self._take_lock()
        due, past_due = self._first_due()
        while True:
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            began = max(due, datetime.now(UTC))  # the two clocks may disagree about a moment
            run = asyncio.ensure_future(self._run(began, past_due=past_due))
            self.working = {run}
            await asyncio.wait(self.working)  # and if this is cancelled, the run goes on
            due, past_due = self._schedule.after(began), False

    async def run_by_hand(self, _: str) -> bool:
        """Run once, beside the schedule; a timer has no use for a text."""
        return await self._call(past_due=False)

    async def _take_lock(self) -> None:
        """Wait for the lock, which is this host's until its process ends."""
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(self._look_for_lock)
            else:
                return

    def _first_due(self) -> tuple[datetime, bool]:
        _, kept = self._status()
        due, past_due = first_due(self._schedule, kept, datetime.now(UTC))
        if kept is None:
            self._keep(_NEVER, due)
        return due, past_due

    async def _run(self, began: datetime, *, past_due: bool) -> None:
        await self._call(past_due=past_due)
        self._keep(began, self._schedule.after(began))

    async def _call(self, *, past_due: bool) -> bool:
        last, due = self._status()
        kept = (last, due or self._schedule.after(datetime.now(UTC)))
        told = payload(kept if self._schedule.has_memory else None, past_due=past_due)
        return await self._function.invoke("Timer fired", Datum(json.dumps(told), "json"), {})

    def _status(self) -> tuple[datetime, datetime | None]:
        try:
            kept = json.loads(self._status_file.read_text())
        except FileNotFoundError:
            return _NEVER, None
        return datetime.fromisoformat(kept["last"]), datetime.fromisoformat(kept["next"])

    def _keep(self, last: datetime, due: datetime) -> None:
        if self._schedule.has_memory:
            kept = {"last": last.isoformat(), "next": due.isoformat()}
            fresh = self._status_file.with_suffix(".new")
            fresh.write_text(json.dumps(kept))
            fresh.replace(self._status_file)  # whole, also if this host dies here


def _text(time: datetime) -> str:
    """Return a time as .NET writes it: seven decimals if there are any."""
    decimals = f".{time.microsecond:06d}0" if time.microsecond else ""
    return f"{time.year:04d}-{time:%m-%dT%H:%M:%S}{decimals}+00:00"
