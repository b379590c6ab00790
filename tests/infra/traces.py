"""Rows of AppTraces: the lines that the functions log, and those of their host."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from scoring.log import Action, Value, line
from tests.infra import kql

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # when all queries are asked


class Trace(NamedTuple):
    """A row of AppTraces, as far as the queries read it."""

    time: datetime
    message: str
    category: str
    component: str = kql.COMPONENT.lower()  # as Azure Monitor writes it
    instance: str = "host-1"


def at(ago: float) -> datetime:
    """Return the time so many minutes ago."""
    return NOW - timedelta(minutes=ago)


def said(ago: float, action: Action, **fields: Value) -> Trace:
    """Return a line of the functions' own, so many minutes ago."""
    return Trace(at(ago), line(action, **fields), "Function.poll.User")


def ran(ago: float, function: str, result: str = "Succeeded") -> Trace:
    """Return what the host says at the end of a run."""
    run = "Id=1c83cd6e-6862-4d62-9efc-ec952bddae15, Duration=3631ms"
    executed = f"Executed 'Functions.{function}' ({result}, {run})"
    return Trace(at(ago), executed, f"Function.{function}")
