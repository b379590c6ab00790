"""The timer trigger: on one host only, one run at a time, one run for all missed ticks."""

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
_LOCK_INTERVAL = 60.0  # seconds between two attempts to get the lock of a timer


class WrongScheduleError(Exception):
    """A schedule is not an NCRONTAB expression; its function is disabled."""


class Schedule:
    """An NCRONTAB expression in UTC: six fields with seconds first, or five; weekdays 0 to 6."""

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
    def is_monitored(self) -> bool:
        """Whether the last run is kept in a file, so that missed ticks are noticed.

        Not with more than one tick a minute, as in Microsoft's host.
        """
        first = self.after(datetime(2026, 1, 1, tzinfo=UTC))
        return self.after(first) - first >= timedelta(minutes=1)


def first_due(schedule: Schedule, due: datetime | None, now: datetime) -> tuple[datetime, bool]:
    """Return when a starting host first runs the timer, and whether that is past due.

    `due` is the next run according to the kept status.
    """
    if schedule.is_monitored and due is not None and due < now:
        return due, True
    return schedule.after(now), False


def payload(status: tuple[datetime, datetime] | None, *, past_due: bool) -> Json:
    """Return the trigger data of a run; `status` is the last run and the due time of this one."""
    last, due = map(_text, status) if status else ("", "")
    document = {"Last": last, "Next": due, "LastUpdated": last}
    return {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": document if status else None,
        "IsPastDue": past_due,
    }


class TimerListener:
    """Runs a function on its schedule, while this host has the timer's lock."""

    def __init__(self, function: Function, folder: Path, pace: float) -> None:
        self._function = function
        self._schedule = Schedule(resolved(str(function.trigger["schedule"])))
        self._status_file = folder / f"timer-{function.name}.json"
        self._lock = (folder / f"timer-{function.name}.lock").open("w")
        self._lock_interval = _LOCK_INTERVAL * pace
        self.working: set[asyncio.Task[Any]] = set()

    async def listen(self) -> None:
        """Run on the schedule until cancelled: one run at a time, and one for all missed ticks."""
        await self._take_lock()
        due, past_due = self._first_due()
        while True:
            await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
            began = max(due, datetime.now(UTC))  # asyncio's clock may run ahead of the wall clock
            run = asyncio.ensure_future(self._run(began, past_due=past_due))
            self.working = {run}
            await asyncio.wait(self.working)  # when cancelled, it does not cancel the run
            due, past_due = self._schedule.after(began), False

    async def run_by_hand(self, _: str) -> bool:
        """Run once, apart from the schedule; a timer ignores the text."""
        return await self._call(past_due=False)

    async def _take_lock(self) -> None:
        """Wait for the lock; this host then keeps it until its process ends."""
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(self._lock_interval)
            else:
                return

    def _first_due(self) -> tuple[datetime, bool]:
        _, kept_due = self._status()
        due, past_due = first_due(self._schedule, kept_due, datetime.now(UTC))
        if kept_due is None:
            self._keep(_NEVER, due)
        return due, past_due

    async def _run(self, began: datetime, *, past_due: bool) -> None:
        await self._call(past_due=past_due)
        self._keep(began, self._schedule.after(began))

    async def _call(self, *, past_due: bool) -> bool:
        last, due = self._status()
        status = (last, due or self._schedule.after(datetime.now(UTC)))
        data = payload(status if self._schedule.is_monitored else None, past_due=past_due)
        return await self._function.invoke("Timer fired", Datum(json.dumps(data), "json"), {})

    def _status(self) -> tuple[datetime, datetime | None]:
        try:
            status = json.loads(self._status_file.read_text())
        except FileNotFoundError:
            return _NEVER, None
        return datetime.fromisoformat(status["last"]), datetime.fromisoformat(status["next"])

    def _keep(self, last: datetime, due: datetime) -> None:
        if self._schedule.is_monitored:
            status = {"last": last.isoformat(), "next": due.isoformat()}
            fresh = self._status_file.with_suffix(".new")
            fresh.write_text(json.dumps(status))
            fresh.replace(self._status_file)  # atomic: a host that dies leaves no partial file


def _text(time: datetime) -> str:
    """Return a time as .NET writes it: with seven decimals, or none for whole seconds."""
    decimals = f".{time.microsecond:06d}0" if time.microsecond else ""
    return f"{time.year:04d}-{time:%m-%dT%H:%M:%S}{decimals}+00:00"
