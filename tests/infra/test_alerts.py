"""The alerts on the log are raised when they are to be, and not before."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from scoring.log import Action
from tests.infra.engine import answer
from tests.infra.monitoring import alerts, query_of
from tests.infra.traces import NOW, Trace, ran, said

WINDOWS = {
    "PT1H": timedelta(hours=1),
    "PT2H": timedelta(hours=2),
    "P1D": timedelta(days=1),
    "P2D": timedelta(days=2),
}


def is_raised(name: str, traces: Sequence[Trace]) -> bool:
    """Return whether an alert is raised, by the answer of its query about its window."""
    alert = alerts()[name]
    (condition,) = alert["criteria"]["allOf"]
    assert condition["operator"] == "GreaterThan"
    window = WINDOWS[alert.get("overrideQueryTimeRange") or alert["windowSize"]]
    rows = answer(query_of(condition["query"]), [one for one in traces if NOW - one.time <= window])
    for dimension in condition["dimensions"]:
        assert dimension["operator"] == "Include"
        values = dimension["values"]
        rows = [row for row in rows if values == ["*"] or row[dimension["name"]] in values]
    if condition["timeAggregation"] == "Count":
        measured = [len(rows)]
    else:
        assert condition["timeAggregation"] == "Maximum"
        measured = [row[condition["metricMeasureColumn"]] for row in rows]
    return any(value > condition["threshold"] for value in measured)


def _raised(*traces: Trace) -> set[str]:
    """Return the alerts that are raised, of an app that runs."""
    running = [ran(0.2, "poll"), ran(9, "sweep")]
    return {name for name in alerts() if is_raised(name, [*running, *traces])}


def test_an_app_that_runs_raises_none() -> None:
    assert _raised() == set()


def test_silence_raises_both_heartbeats() -> None:
    """Absence of lines is what an alert is most easily blind to."""
    assert {name for name in alerts() if is_raised(name, [])} == {
        "no-heartbeat-poll",
        "no-heartbeat-sweep",
    }


@pytest.mark.parametrize(
    ("traces", "poll", "sweep"),
    [
        ([ran(15, "poll"), ran(35, "sweep")], False, False),
        ([ran(16, "poll"), ran(35, "sweep")], True, False),
        ([ran(15, "poll"), ran(36, "sweep")], False, True),
        ([ran(1, "poll", "Failed"), ran(1, "sweep", "Failed")], True, True),
        ([ran(180, "poll"), ran(180, "sweep")], True, True),
    ],
)
def test_a_heartbeat_is_missed_after_its_time(traces: list[Trace], poll: bool, sweep: bool) -> None:
    assert is_raised("no-heartbeat-poll", traces) is poll
    assert is_raised("no-heartbeat-sweep", traces) is sweep


def test_one_message_that_is_kept_raises_an_alert() -> None:
    assert _raised(said(5, Action.QUARANTINED, digest="d1", size=1, reason="no JSON")) == {"kept"}
    assert _raised(said(5, Action.STUCK, digest="d1", error="503")) == {"kept"}
    assert _raised(ran(5, "on_poison", "Failed")) == {"kept"}
    assert _raised(ran(5, "on_poison")) == set()
    assert _raised(said(61, Action.QUARANTINED, digest="d1", size=1, reason="no JSON")) == set()


def test_a_route_that_is_left_out_or_not_swept_raises_an_alert() -> None:
    assert _raised(said(5, Action.ROUTE_BROKEN, route="heart", problem="x")) == {"troubled-routes"}
    once = said(25, Action.SWEEP_ERROR, route="heart", error="503")
    assert _raised(once) == set()
    assert _raised(once, said(5, Action.SWEEP_ERROR, route="heart", error="503")) == {
        "troubled-routes"
    }


def _claimed(ago: float, job: str = "a") -> Trace:
    return said(ago, Action.CLAIMED, job=job, route="cancer", path=f"{job}.csv", state="submitting")


def test_an_outcome_that_stays_unknown_raises_an_alert() -> None:
    assert _raised(_claimed(62), said(60, Action.UNCLEAR, job="a")) == set()
    assert _raised(_claimed(62), said(61, Action.UNCLEAR, job="a")) == {"unknown"}


def test_a_job_that_is_open_for_more_than_a_day_raises_an_alert() -> None:
    assert _raised(_claimed(1440)) == set()
    assert _raised(_claimed(1441)) == {"oldest-open"}
    assert _raised(_claimed(1441), said(60, Action.ANNOUNCED, job="a")) == set()


def test_an_event_that_is_not_published_raises_an_alert() -> None:
    assert _raised(said(15, Action.NOT_ANNOUNCED, job="a", error="503")) == set()
    refused = said(16, Action.NOT_ANNOUNCED, job="a", error="503")
    assert _raised(refused, said(1, Action.NOT_ANNOUNCED, job="a", error="503")) == {
        "not-published"
    }
    assert _raised(refused, said(1, Action.ANNOUNCED, job="a")) == set()


def _ended(failed: int, completed: int) -> list[Trace]:
    ends = [Action.FAILED] * failed + [Action.COMPLETED] * completed
    jobs = [(str(number), end) for number, end in enumerate(ends)]
    told = [said(4, Action.ANNOUNCED, job=job) for job, _ in jobs]
    return [said(5, end, job=job, route="cancer") for job, end in jobs] + told


def test_more_than_a_fifth_of_failures_raises_an_alert() -> None:
    assert _raised(*_ended(failed=1, completed=4)) == set()
    assert _raised(*_ended(failed=2, completed=7)) == {"failure-rate"}
    assert _raised(*_ended(failed=4, completed=0)) == set()
