"""The KQL queries answer rightly: each is run on lines as the product logs them.

All are asked at noon of the same day; the number before each line is how many minutes ago it was.
"""

from typing import Any

import pytest

from scoring.log import Action
from tests.infra import kql
from tests.infra.engine import answer, is_known, value_of
from tests.infra.traces import Trace, at, ran, said

OTHER = f"{kql.COMPONENT}2"

Rows = list[tuple[Any, ...]]


def asked(query: str, traces: list[Trace], *columns: str, file: str = "") -> Rows:
    """Return some columns of a query's answer."""
    return [tuple(row[one] for one in columns) for row in answer(query, traces, file=file)]


def claimed(ago: float, job: str, route: str = "cancer", state: str = "pending") -> Trace:
    path = f"landing/{route}/{job}.csv"
    return said(ago, Action.CLAIMED, job=job, route=route, path=path, state=state)


def step(ago: float, action: Action, job: str, route: str = "cancer", **more: str) -> Trace:
    path = f"landing/{route}/{job}.csv"
    return said(ago, action, job=job, route=route, path=path, attempt=1, **more)


def submitted(ago: float, job: str, route: str = "cancer") -> Trace:
    return step(ago, Action.SUBMITTED, job, route, batch_job=f"batchjob-{job}")


def completed(ago: float, job: str, route: str = "cancer") -> Trace:
    return step(ago, Action.COMPLETED, job, route, batch_job=f"batchjob-{job}")


def failed(ago: float, job: str, route: str = "cancer", message: str = "no column") -> Trace:
    return step(ago, Action.FAILED, job, route, reason="batch-job-failed", message=message)


def announced(ago: float, job: str) -> Trace:
    return said(ago, Action.ANNOUNCED, job=job, type="Landfall.JobCompleted", subject="/blob")


def started(ago: float, version: str, instance: str) -> Trace:
    return said(ago, Action.STARTED, version=version, routes=3)._replace(instance=instance)


def not_announced(ago: float, job: str, error: str = "503") -> Trace:
    return said(ago, Action.NOT_ANNOUNCED, job=job, type="Landfall.JobCompleted", error=error)


# --- the engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", kql.names())
def test_an_answer_has_the_columns_that_microsofts_language_service_foretells(name: str) -> None:
    """Of no line at all, of which the heartbeat alone has something to say."""
    assert len(answer(name, [])) == (2 if name == "heartbeat" else 0)
    everything = [
        claimed(300, "a"),
        *(submitted(290, "a"), said(280, Action.UNCLEAR, job="a", route="cancer", reason="cut")),
        *(completed(200, str(number)) for number in range(5)),
        *(claimed(200, "b"), submitted(190, "b"), failed(90, "b"), not_announced(80, "b")),
        *(said(60, Action.STUCK, digest="d1", error="503"), ran(30, "on_poison")),
        said(60, Action.ROUTE_BROKEN, route="heart", problem="no such field"),
        started(60, "0.1.0", "a"),
    ]
    first, *_ = answer(name, everything, file="a.csv")
    assert list(first) == list(kql.analysed()[name].columns)


def test_what_is_said_in_other_words_is_right_and_still_unknown_to_the_engine() -> None:
    """What it has learnt since, ask it in the query's own words."""
    said_otherwise = [
        "print a = 'b=1' | parse-kv a as (b:int) with (pair_delimiter=' ', kv_delimiter='=')",
        "print a = 'b c' | parse a with b:string ' ' c:string",
        "range a from 1 to 3 step 1 | summarize percentiles(a, 50, 95)",
    ]
    found = kql.analyse({query: query for query in said_otherwise})
    assert [analysis.diagnostics for analysis in found.values()] == [[]] * 3
    assert not any(map(is_known, said_otherwise))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("src", "10.1.1.123"),
        ("bytes", "125"),
        ("failure", 'the remote host sent "bye!"'),
        ("time", "2021-01-01T10:00:54"),
        ("sent", ""),
    ],
)
def test_pairs_are_parsed_as_microsofts_page_on_parse_kv_shows(key: str, value: str) -> None:
    failure = r'"the remote host sent \"bye!\""'
    text = f"src=10.1.1.123 bytes=125 failure={failure} time=2021-01-01T10:00:54 src=twice"
    assert value_of(text, key, " ", "=", '"', "\\") == value


# --- what the queries share ---------------------------------------------------------------------


def test_a_value_with_quotes_and_spaces_forges_no_field() -> None:
    path, message = 'a" job=forged reason=forged .csv', 'no "radius" \\ message=forged \\" path=x'
    line = said(
        *(5, Action.FAILED),
        job="a",
        route="cancer",
        path=path,
        attempt=1,
        reason="x",
        message=message,
    )
    columns = ("job", "path", "attempt", "reason", "message")
    assert asked("file", [line], *columns, file="a") == [("a", path, 1, "x", message)]


def test_lines_of_another_component_and_of_the_host_do_not_count() -> None:
    line = claimed(5, "a")
    others = [
        line._replace(component=OTHER),
        line._replace(category="Function.poll"),
        line._replace(category="Azure.Core"),
    ]
    assert answer("open-by-age", others) == []
    assert len(answer("open-by-age", [*others, line])) == 1


def test_runs_of_another_component_do_not_count() -> None:
    run = ran(5, "on_poison")
    assert asked("poison", [run._replace(component=OTHER), run], "messages") == [(1,)]


def test_a_job_is_open_until_its_event_is_out() -> None:
    traces = [claimed(60, "a"), submitted(50, "a"), completed(40, "a"), not_announced(30, "a")]
    assert asked("oldest-open", traces, "job", "state") == [("a", "ended")]
    assert answer("oldest-open", [*traces, announced(20, "a")]) == []


def test_two_lines_of_the_same_time_leave_no_job_open() -> None:
    traces = [completed(20, "a"), announced(20, "a")]
    assert answer("oldest-open", traces) == answer("oldest-open", traces[::-1]) == []


def test_the_announcement_of_a_message_in_quarantine_is_no_step_of_a_job() -> None:
    assert answer("oldest-open", [said(5, Action.NOT_ANNOUNCED, digest="d1", error="503")]) == []


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (Action.SUBMITTED, "submitted"),
        (Action.ADOPTED, "submitted"),
        (Action.HELD, "pending"),
        (Action.LOST, "pending"),
        (Action.TRYING_AGAIN, "pending"),
        (Action.UNCLEAR, "unknown"),
        (Action.REJECTED, "ended"),
        (Action.SUPERSEDED, "ended"),
        (Action.TIMED_OUT, "ended"),
        (Action.CANCELED, "ended"),
        (Action.CANCELING, "submitting"),
    ],
)
def test_a_step_leads_to_its_state(action: Action, state: str) -> None:
    """What is no step leaves the state as the claim says it."""
    traces = [claimed(60, "a", state="submitting"), step(50, action, "a")]
    assert asked("open-by-age", traces, "state") == [(state,)]


# --- one by one ---------------------------------------------------------------------------------

HEARTBEAT = ("function", "last_run", "minutes", "runs")


def test_heartbeat_has_a_row_for_a_function_that_never_came_through() -> None:
    rows = [("poll", None, 10000, 0), ("sweep", None, 10000, 0)]
    assert sorted(asked("heartbeat", [], *HEARTBEAT)) == rows
    traces = [ran(1, "poll", "Failed"), ran(1, "sweep", "Failed"), ran(1, "on_landing")]
    assert sorted(asked("heartbeat", traces, *HEARTBEAT)) == rows


def test_heartbeat_tells_how_long_ago_the_last_run_came_through() -> None:
    traces = [ran(9, "poll"), ran(7, "poll"), ran(8, "poll"), ran(2, "poll", "Failed")]
    poll, sweep = sorted(asked("heartbeat", [*traces, ran(31, "sweep")], *HEARTBEAT))
    assert poll == ("poll", at(7), 7, 3)
    assert sweep == ("sweep", at(31), 31, 1)


def test_versions_has_those_that_started_and_on_how_many_instances() -> None:
    traces = [
        *(started(90, "0.1.0", "a"), started(80, "0.1.0", "b"), started(60, "0.1.0", "b")),
        *(started(50, "0.2.0", "c"), claimed(5, "a"), ran(1, "poll")),
    ]
    columns = ("version", "instances", "first_seen", "last_seen")
    assert asked("versions", traces, *columns) == [
        ("0.2.0", 1, at(50), at(50)),
        ("0.1.0", 2, at(90), at(60)),
    ]


def test_jobs_by_state_counts_each_job_in_the_state_of_each_quarter() -> None:
    traces = [
        *(claimed(53, "a"), submitted(38, "a"), completed(20, "a"), announced(8, "a")),
        *(claimed(52, "b", state="submitting"), submitted(51, "b"), submitted(51, "b")),
        *(claimed(44, "brief"), completed(40, "brief"), announced(31, "brief")),
        *(claimed(30, "to the minute"), submitted(15, "to the minute")),
    ]
    assert sorted(asked("jobs-by-state", traces, "at", "state", "jobs")) == [
        (at(45), "pending", 1),
        (at(45), "submitted", 1),
        (at(30), "submitted", 2),
        (at(15), "ended", 1),
        (at(15), "pending", 1),
        (at(15), "submitted", 1),
        (at(0), "submitted", 2),
    ]


TIMES = ("hour", "route", "jobs", "percentile_minutes_50", "percentile_minutes_95", "longest")


def test_time_to_submit_is_from_the_claim_to_the_first_batch_job() -> None:
    traces = [
        *(claimed(50, "a"), submitted(49, "a"), step(40, Action.TRYING_AGAIN, "a")),
        submitted(39, "a"),
        *(claimed(50, "b"), step(49, Action.UNCLEAR, "b"), said(48, Action.ADOPTED, job="b")),
        *(claimed(50, "c"), step(45, Action.HELD, "c"), submitted(20, "c")),
        *(claimed(50, "e", "late line"), submitted(50.5, "e", "late line")),
        *(claimed(50, "waits"), submitted(50, "claimed long ago")),
        *(claimed(70, "d", "digits"), submitted(58, "d", "digits")),
    ]
    assert asked("time-to-submit", traces, *TIMES) == [
        (at(120), "digits", 1, 12.0, 12.0, 12.0),
        (at(60), "cancer", 3, 2.0, 30.0, 30.0),
        (at(60), "late line", 1, 0.0, 0.0, 0.0),
    ]


def test_time_to_finish_is_from_the_first_batch_job_to_the_end() -> None:
    traces = [
        *(submitted(110, "a"), step(80, Action.TRYING_AGAIN, "a"), submitted(79, "a")),
        *(completed(50, "a"), completed(49, "a")),
        *(submitted(50, "b"), failed(40, "b")),
        *(submitted(50, "c"), step(30, Action.TIMED_OUT, "c"), announced(10, "c")),
        *(submitted(130, "d", "digits"), step(100, Action.CANCELED, "d", "digits")),
        *(submitted(50, "runs"), claimed(50, "r"), step(49, Action.REJECTED, "r")),
        *(submitted(50, "s"), step(45, Action.TRYING_AGAIN, "s"), step(40, Action.REJECTED, "s")),
        *(submitted(50, "e", "late line"), completed(50.5, "e", "late line")),
        failed(30, "never submitted"),
    ]
    assert asked("time-to-finish", traces, *TIMES) == [
        (at(120), "digits", 1, 30.0, 30.0, 30.0),
        (at(60), "cancer", 3, 20.0, 60.0, 60.0),
        (at(60), "late line", 1, 0.0, 0.0, 0.0),
    ]


def test_open_by_age_puts_the_oldest_first() -> None:
    ages = {"a": 59, "b": 60, "c": 359, "d": 360, "e": 1439, "f": 1440, "g": 2879, "h": 2880}
    traces = [claimed(minutes, job) for job, minutes in ages.items()]
    traces += [claimed(2900, "gone"), announced(10, "gone"), submitted(5, "b")]
    found = asked("open-by-age", traces, "age", "state", "jobs", "oldest")
    assert found[:3] == [
        ("5: 2 days and more", "pending", 1, at(2880)),
        ("4: under 2 days", "pending", 2, at(2879)),
        ("3: under a day", "pending", 2, at(1439)),
    ]
    assert sorted(found[3:]) == [
        ("1: under an hour", "pending", 1, at(59)),
        ("2: under 6 hours", "pending", 1, at(359)),
        ("2: under 6 hours", "submitted", 1, at(60)),
    ]


def test_open_by_age_has_a_path_as_an_example() -> None:
    traces = [claimed(50, "a"), said(40, Action.ADOPTED, job="a", route="cancer")]
    assert asked("open-by-age", traces, "route", "example") == [("cancer", "landing/cancer/a.csv")]


def test_failures_by_reason_has_the_message_of_the_last() -> None:
    traces = [
        *(failed(9, "a", message="first"), failed(3, "b", message="last"), failed(6, "b")),
        *(failed(9, "c", "digits"), step(8, Action.REJECTED, "e", reason="empty", message="none")),
        *(completed(1, "f"), step(1, Action.HELD, "g", reason="batch-job-failed")),
    ]
    columns = ("route", "action", "reason", "jobs", "last_seen", "path", "message")
    first, *others = asked("failures-by-reason", traces, *columns)
    why = ("failed", "batch-job-failed")
    assert first == ("cancer", *why, 2, at(3), "landing/cancer/b.csv", "last")
    assert sorted(others) == [
        ("cancer", "rejected", "empty", 1, at(8), "landing/cancer/e.csv", "none"),
        ("digits", *why, 1, at(9), "landing/digits/c.csv", "no column"),
    ]


def test_unknown_has_the_jobs_whose_attempt_is_unclear() -> None:
    traces = [
        *(claimed(90, "a"), step(40, Action.UNCLEAR, "a")),
        *(claimed(95, "b"), step(60, Action.UNCLEAR, "b")),
        *(claimed(90, "c"), submitted(40, "c")),
    ]
    columns = ("job", "route", "path", "minutes", "entered")
    a = ("a", "cancer", "landing/cancer/a.csv", 40, at(40))
    b = ("b", "cancer", "landing/cancer/b.csv", 60, at(60))
    assert asked("unknown", traces, *columns) == [b, a]
    settled = said(30, Action.ADOPTED, job="b", route="cancer", batch_job="batchjob-b")
    assert asked("unknown", [*traces, settled], *columns) == [a]
    lost = step(30, Action.LOST, "a")
    assert answer("unknown", [*traces, settled, lost]) == []


KEPT = ("digest", "kept", "came", "last_seen", "why")


def test_quarantine_has_what_is_kept_and_the_last_word_on_it() -> None:
    traces = [
        said(90, Action.QUARANTINED, digest="d1", size=12, reason="no JSON"),
        said(80, Action.STUCK, digest="d2", error="first: 503"),
        said(70, Action.STUCK, digest="d2", error="last: 403"),
        said(60, Action.STUCK, digest="d3", error="503"),
        said(50, Action.UNSTUCK, digest="d3"),
    ]
    assert asked("quarantine", traces, *KEPT) == [
        ("d2", "stuck", at(80), at(70), "last: 403"),
        ("d1", "quarantine", at(90), at(90), "no JSON"),
    ]


def test_quarantine_keeps_a_message_that_was_stuck_as_well_and_is_no_longer() -> None:
    traces = [
        said(60, Action.STUCK, digest="d1", error="503"),
        said(59, Action.QUARANTINED, digest="d1", size=12, reason="no event"),
    ]
    kept = ("d1", "quarantine", at(59), at(59), "no event")
    assert asked("quarantine", traces, *KEPT) == [kept, ("d1", "stuck", at(60), at(60), "503")]
    assert asked("quarantine", [*traces, said(50, Action.UNSTUCK, digest="d1")], *KEPT) == [kept]


def test_poison_counts_the_runs_by_hour_and_result() -> None:
    traces = [
        *(ran(70, "on_poison"), ran(65, "on_poison"), ran(50, "on_poison")),
        *(ran(50, "on_poison", "Failed"), ran(50, "poll"), ran(50, "on_landing", "Failed")),
    ]
    first, *others = asked("poison", traces, "hour", "result", "messages")
    assert first == (at(120), "Succeeded", 2)
    assert sorted(others) == [(at(60), "Failed", 1), (at(60), "Succeeded", 1)]


def test_file_finds_all_lines_of_the_jobs_and_what_was_ignored() -> None:
    path = "landing/cancer/WARD-6.csv"
    traces = [
        said(90, Action.IGNORED, path=f"{path}.tmp", container="data", reason="no-route"),
        said(80, Action.CLAIMED, job="a", route="cancer", path=path, state="pending"),
        said(70, Action.ADOPTED, job="a", route="cancer", batch_job="batchjob-a"),
        *(announced(60, "a"), claimed(55, "b"), announced(50, "b")),
        failed(40, "b", message="ward-6 is named in a message only"),
        said(30, Action.IGNORED, path="landing/other.csv", reason="no-route"),
    ]
    found = asked("file", traces, "TimeGenerated", "job", "action", "batch_job", file="ward-6")
    assert found == [
        (at(90), "", "ignored", ""),
        (at(80), "a", "claimed", ""),
        (at(70), "a", "adopted", "batchjob-a"),
        (at(60), "a", "announced", ""),
    ]
    assert answer("file", traces, file="") == []
    assert answer("file", traces, file="ward-7") == []


def test_kept_has_a_row_for_each_message_and_each_run_that_kept_none() -> None:
    traces = [
        said(9, Action.QUARANTINED, digest="d1", size=12, reason="no JSON"),
        *(said(8, Action.STUCK, digest="d2", error="503"), said(7, Action.UNSTUCK, digest="d2")),
        *(ran(6, "on_poison"), ran(5, "on_poison", "Failed"), ran(4, "poll", "Failed")),
    ]
    assert sorted(asked("kept", traces, "TimeGenerated", "what", "digest", "why")) == [
        (at(9), "quarantined", "d1", "no JSON"),
        (at(8), "stuck", "d2", "503"),
        (at(5), "not kept", "", "see the lines of on_poison"),
    ]


def test_troubled_routes_are_those_that_are_left_out_or_not_swept() -> None:
    traces = [
        said(90, Action.ROUTE_BROKEN, route="heart", problem="no such field"),
        said(50, Action.SWEEP_ERROR, route="once", error="503"),
        *(said(ago, Action.SWEEP_ERROR, route="cancer", error=f"403 {ago}") for ago in (40, 30)),
        *(said(ago, Action.SWEEP_ERROR, shelf="stuck", error="503") for ago in (35, 25)),
        said(20, Action.JOB_ERROR, job="a", route="lungs", error="503"),
    ]
    columns = ("route", "shelf", "action", "since", "last_seen", "why")
    assert asked("troubled-routes", traces, *columns) == [
        ("", "stuck", "sweep-error", at(35), at(25), "503"),
        ("cancer", "", "sweep-error", at(40), at(30), "403 30"),
        ("heart", "", "route-broken", at(90), at(90), "no such field"),
    ]


def test_oldest_open_is_the_first_of_each_route_and_says_what_it_waits_for() -> None:
    traces = [
        *(claimed(90, "a"), submitted(10, "a"), claimed(50, "b"), claimed(300, "gone")),
        *(announced(200, "gone"), claimed(40, "c"), claimed(100, "d", "digits")),
    ]
    assert asked("oldest-open", traces, "route", "minutes", "job", "path", "state", "jobs") == [
        ("digits", 100, "d", "landing/digits/d.csv", "pending", 1),
        ("cancer", 90, "a", "landing/cancer/a.csv", "submitted", 3),
    ]


def test_not_published_has_the_events_that_are_tried_in_vain() -> None:
    traces = [
        *(not_announced(40, "a", "first: 503"), not_announced(20, "a", "last: 403")),
        *(not_announced(50, "b"), announced(49, "b"), announced(30, "c")),
        said(60, Action.NOT_ANNOUNCED, digest="d1", type="Landfall.Quarantined", error="503"),
    ]
    a = ("a", 40, at(40), "last: 403")
    columns = ("event", "minutes", "since", "error")
    assert asked("not-published", traces, *columns) == [("d1", 60, at(60), "503"), a]
    told = said(10, Action.ANNOUNCED, digest="d1", type="Landfall.Quarantined")
    assert asked("not-published", [*traces, told], *columns) == [a]


def test_failure_rate_is_of_the_jobs_that_the_route_could_have_scored() -> None:
    traces = [
        *(failed(9, "a"), failed(8, "a"), step(7, Action.TIMED_OUT, "b")),
        *(completed(6, "c"), completed(5, "c"), completed(5, "d"), completed(5, "e")),
        *(completed(5, "f"), step(4, Action.REJECTED, "g"), step(4, Action.CANCELED, "h")),
        *(step(4, Action.SUPERSEDED, "i"), step(4, Action.TRYING_AGAIN, "j")),
        *(failed(5, job, "few") for job in "klmn"),
        *(completed(5, job, "well") for job in "opqrs"),
    ]
    assert asked("failure-rate", traces, "route", "percent", "failed", "ended") == [
        ("cancer", 33.3, 2, 6),
        ("well", 0.0, 0, 5),
    ]
