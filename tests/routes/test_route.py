"""Routes: the pattern language and the loop guard."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.routes.patterns import literal_beginning, names_in, pattern
from scoring.routes.route import Ready, Route
from scoring.routes.rules import without_loops
from tests.factories import folder_route, job, landing, quiet_route, route

# --- patterns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("landing/a.csv", "landing/a.csv"),
        ("landing/*.csv", "landing/a.csv"),
        ("landing/*.csv", "landing/.csv"),
        ("landing/?.csv", "landing/a.csv"),
        ("landing/?.csv", "landing/🫀.csv"),
        ("landing/**/*.csv", "landing/a.csv"),
        ("landing/**/*.csv", "landing/2026/11/a.csv"),
        ("landing/**", "landing/2026/11/a.csv"),
        ("landing/**/final/*.csv", "landing/final/a.csv"),
        ("landing/**/final/*.csv", "landing/x/y/final/a.csv"),
        ("landing/{site}/*.csv", "landing/north/a.csv"),
        ("landing/{site}-{day}/*.csv", "landing/north-24/a.csv"),
        ("landing/a+(b).[c]$^|", "landing/a+(b).[c]$^|"),
        ("landing/*.csv", "landing/a\nb.csv"),
        ("landing/**/*.csv", "landing/a\nb/c.csv"),
    ],
)
def test_a_pattern_matches(glob: str, path: str) -> None:
    assert pattern(glob).fullmatch(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("landing/a.csv", "landing/axcsv"),
        ("landing/a.csv", "landing/A.csv"),
        ("landing/a.csv", "landing/a.csv\n"),
        ("landing/a.csv", "x/landing/a.csv"),
        ("landing/*.csv", "landing/2026/a.csv"),
        ("landing/?.csv", "landing/.csv"),
        ("landing/?.csv", "landing//.csv"),
        ("landing/**/*.csv", "landing2/a.csv"),
        ("landing/**/final/*.csv", "landing/xfinal/a.csv"),
        ("landing/{site}/*.csv", "landing//a.csv"),
        ("landing/{site}/*.csv", "landing/north/wing/a.csv"),
    ],
)
def test_a_pattern_does_not_match(glob: str, path: str) -> None:
    assert not pattern(glob).fullmatch(path)


SEGMENTS = st.lists(st.sampled_from(["*", "a", "b", "ab", "?"]), min_size=1, max_size=8)


def matches(glob: str, text: str) -> bool:
    """What `*` and `?` mean within a segment, said as plainly as possible."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(matches(glob[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and glob[0] in ("?", text[0]) and matches(glob[1:], text[1:])


@given(parts=SEGMENTS, text=st.text("ab", max_size=8))
def test_stars_match_as_one_would_read_them(parts: list[str], text: str) -> None:
    glob = "".join(parts)
    assume("**" not in glob)
    assert bool(pattern(f"x/{glob}").fullmatch(f"x/{text}")) == matches(glob, text)


def test_a_pattern_of_many_stars_does_not_take_for_ever() -> None:
    """Going back from each star would take longer than the universe is old."""
    assert not pattern("*a" * 20 + "*.csv").fullmatch("a" * 1_000)


@given(path=st.text())
def test_a_path_without_wildcards_matches_itself_only(path: str) -> None:
    assume(not set(path) & set("*?{}"))
    found = pattern("landing/" + path)
    assert found.fullmatch("landing/" + path)
    assert not found.fullmatch("landing/" + path + "\n")


GLOBS = st.lists(
    st.sampled_from(["*", "**/", "/**", "?", "{name}", "{n2}", "/", "a", ".", "b.csv", "🫀"])
).map("".join)


@given(glob=GLOBS, data=st.data())
def test_whatever_matches_begins_with_the_literal_beginning(glob: str, data: st.DataObject) -> None:
    """The loop guard's comparison of beginnings rests on this."""
    assume(len(names_in(glob)) == len(set(names_in(glob))))
    path = data.draw(st.from_regex(pattern(glob), fullmatch=True))
    assert path.startswith(literal_beginning(glob))


def test_the_names_of_a_pattern_come_in_their_order() -> None:
    assert names_in("landing/{site}/{day_2}-*/**") == ["site", "day_2"]


@pytest.mark.parametrize("glob", ["a/{Site}", "a/{}", "a/{site", "a/site}", "a/{{site}}", "a/{2}"])
def test_a_brace_that_is_no_name_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        names_in(glob)


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
    path = data.draw(st.from_regex(pattern(of.match), fullmatch=True))
    attempt = data.draw(st.integers(min_value=1, max_value=3))
    output = job(of=of, landed=landing(path)).output_path(attempt)
    assert not any(one.triggered_by(output) is not None or one.holds(output) for one in good)
    assert re.fullmatch(r"[A-Za-z0-9._/-]+", output)
