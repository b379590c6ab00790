"""Routes: what triggers them, what they refuse, and the loop guard."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.routes.route import Ready, Route
from scoring.routes.rules import without_loops
from scoring.uris import has_dot_segment
from tests.factories import folder_route, job, landing, quiet_route, route
from tests.routes.expression import expression

# --- what triggers, what is held ----------------------------------------------------------------


def test_a_file_triggers_its_route_and_tells_what_the_names_stood_for() -> None:
    files = route(match="landing/{site}/**/{day}.csv")
    assert files.triggered_by("landing/north/x/24.csv") == {"site": "north", "day": "24"}
    assert files.triggered_by("landing/north/x/24.txt") is None


def test_a_route_without_names_is_triggered_all_the_same() -> None:
    assert route(match="landing/*.csv").triggered_by("landing/a.csv") == {}


def test_a_folder_is_triggered_by_its_marker_and_holds_its_files() -> None:
    folders = folder_route()
    assert folders.triggered_by("landing/b1.done") == {"batch": "b1"}
    assert folders.triggered_by("landing/b1/1.png") is None
    assert folders.holds("landing/b1/1.png")
    assert not folders.holds("landing/b1.done")
    assert not folders.holds("landing/b1/nested/1.png")


def test_ready_says_how_a_folder_becomes_complete() -> None:
    assert quiet_route().gathers
    assert not folder_route().gathers


DOTS = ["..", ".", "%2e%2E", "%252e.", "..%2f..", "x\\..", "..\t", " ..", ".%0a."]


@pytest.mark.parametrize("dots", DOTS)
def test_a_path_that_is_read_as_another_triggers_nothing_and_is_held_by_nothing(dots: str) -> None:
    """Else `landing/cancer/../../secret/a.csv` is scored by `landing/cancer/**`."""
    files, folders = route(match="landing/cancer/**"), folder_route(match="landing/{batch}/*")
    for path in (f"landing/cancer/{dots}/{dots}/secret/a.csv", f"landing/cancer/{dots}"):
        assert files.triggered_by(path) is None
        assert files.refuses(path)
        assert not files.holds(path)
    assert not folders.holds(f"landing/{dots}/a.png")


@pytest.mark.parametrize(
    ("marker", "folder", "path"),
    [
        ("in/{batch}.done", "landing/{batch}", "in/...done"),
        ("in/{batch}.done", "landing/{batch}", "in/%2e%2e.done"),
        ("in/{batch}.done", "landing/{batch}", "in/x\\...done"),
        ("in/{a}-{b}.done", "landing/{a}{b}", "in/.-..done"),
        ("in/{a}-{b}.done", "landing/{a}{b}/x", "in/%2-e..done"),
        ("in/{a}.done", "landing/.{a}", "in/..done"),
    ],
)
def test_a_marker_whose_folder_would_be_read_as_another_triggers_nothing(
    marker: str, folder: str, path: str
) -> None:
    """No part of the marker's own path is `..`: only what is made of it would be."""
    folders = folder_route(match=f"{folder}/*.png", ready=Ready(marker=marker))
    assert folders.triggered_by(path) is None
    assert folders.refuses(path)


@pytest.mark.parametrize(
    "path",
    [
        "a..csv",
        "..a",
        "...",
        "a.",
        ".hidden/x",
        "v1.2/x",
        "100%/x",
        "%2f/x",
        "a//b",
        "a b/.c",
        "‥/x",
    ],
)
def test_other_dots_are_part_of_a_name(path: str) -> None:
    assert route(match="landing/**").triggered_by(f"landing/{path}") is not None


# --- loops --------------------------------------------------------------------------------------


def left_out(*routes: Route) -> set[str]:
    good, mistakes = without_loops(list(routes), lambda one: one.datastore, [])
    named = {mistake.route for mistake in mistakes}
    assert named.isdisjoint(one.name for one in good)
    assert len(good) + len(mistakes) == len(routes)
    return named


@pytest.mark.parametrize(
    ("match", "output"),
    [
        ("landing/**", "landing/{stem}-{key}/x.csv"),
        ("landing/**", "landing/scored/{key}/x.csv"),
        ("landing/heart/**", "landing/{key}/x.csv"),
        ("l*/a.csv", "landing/{key}/x.csv"),
        ("data*/a.csv", "data/{key}.csv"),
    ],
)
def test_a_route_whose_output_may_be_its_own_input_is_left_out(match: str, output: str) -> None:
    assert left_out(route(match=match, output=output)) == {"files"}


def test_a_route_whose_output_may_be_the_input_of_another_is_left_out_and_the_other_is_not() -> (
    None
):
    first = route(name="first", match="raw/**", output="landing/{key}/x.csv")
    second = route(name="second", match="landing/**", output="scored/{key}/x.csv")
    assert left_out(first, second) == {"first"}


def test_two_routes_that_feed_each_other_are_both_left_out() -> None:
    ping = route(name="ping", match="a/**", output="b/{key}/x.csv")
    pong = route(name="pong", match="b/**", output="a/{key}/x.csv")
    assert left_out(ping, pong) == {"ping", "pong"}


def test_an_output_where_markers_land_is_left_out() -> None:
    folders = folder_route(
        match="landing/{batch}/*.png", ready=Ready(marker="done/{batch}"), output="done/{key}/x.csv"
    )
    assert left_out(folders) == {"folders"}


def test_an_output_where_a_folders_files_lie_is_left_out() -> None:
    folders = folder_route(ready=Ready(marker="done/{batch}"), output="landing/{key}/x.csv")
    assert left_out(folders) == {"folders"}


def test_beginnings_that_only_look_alike_do_no_harm() -> None:
    assert left_out(route(match="landing/**", output="landed/{key}/x.csv")) == set()


def test_the_same_folders_in_different_containers_do_no_harm() -> None:
    first = route(name="first", datastore="one", match="a/**", output="b/{key}/x.csv")
    second = route(name="second", datastore="two", match="b/**", output="a/{key}/x.csv")
    assert left_out(first, second) == set()


def test_a_loop_is_told_with_both_routes_and_what_to_do() -> None:
    ping = route(name="ping", match="a/**", output="b/{key}/x.csv")
    pong = route(name="pong", match="b/**", output="c/{key}/x.csv")
    _, (mistake,) = without_loops([ping, pong], lambda one: one.datastore, [])
    assert str(mistake) == (
        "routes.toml: route ping: output: 'b/{key}/x.csv' may lie where route 'pong' looks for"
        " input ('b/**'): let the two begin with different folders"
    )


FOLDERS = st.sampled_from(["a", "ab", "a-b", "b", "a/b", "b/a"])
TAILS = st.sampled_from(["/**", "/**/*.csv", "/{name}/*", "*/x", "?", "/{name}", ""])
OUTPUTS = st.sampled_from(["/{key}", "/{stem}-{key}/x.csv", "/b/{key}", "b/{key}/{stem}"])
ROUTES = st.lists(
    st.builds(
        lambda inputs, tail, outputs, rest: (inputs + tail, outputs + rest),
        FOLDERS,
        TAILS,
        FOLDERS,
        OUTPUTS,
    ),
    min_size=1,
    max_size=4,
)


@given(rules=ROUTES, data=st.data())
def test_no_accepted_route_takes_the_output_of_an_accepted_route(
    rules: list[tuple[str, str]], data: st.DataObject
) -> None:
    routes = [
        route(name=f"r{number}", match=match, output=output)
        for number, (match, output) in enumerate(rules)
    ]
    good, _ = without_loops(routes, lambda one: one.datastore, [])
    assume(good)
    of = data.draw(st.sampled_from(good))
    path = data.draw(st.from_regex(expression(of.match), fullmatch=True))
    assume(not has_dot_segment(path))
    attempt = data.draw(st.integers(min_value=1, max_value=3))
    output = job(of=of, landed=landing(path)).output_path(attempt)
    assert not any(one.triggered_by(output) is not None or one.holds(output) for one in good)
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", output)
