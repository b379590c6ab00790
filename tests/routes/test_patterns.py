"""Why a path does not match a pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.routes.matching import captures
from scoring.routes.patterns import why_not


@pytest.mark.parametrize(
    ("glob", "path", "why"),
    [
        ("landing/a/*.csv", "landing/b/x.csv", "it does not begin with 'landing/a/'"),
        ("landing/a/*.csv", "Landing/A/x.csv", "upper and lower case differ"),
        ("landing/a/*.csv", "/landing/a/x.csv", "leave the slash before it out"),
        ("landing/*.csv", "landing/x/y.csv", "deeper than 'landing/*.csv': only `**`"),
        ("landing/{site}/*.csv", "landing/y.csv", "less deep than 'landing/{site}/*.csv'"),
        ("landing/*.csv", "landing/a.txt", "'a.txt' is not '*.csv'"),
        ("landing/*.csv", "landing/a.CSV", "'a.CSV' is not '*.csv': upper and lower case"),
        ("landing/{site}/*.csv", "landing//a.csv", "'' is not '{site}'"),
        ("landing/s-{n}/**/*.csv", "landing/s-/x/a.csv", "'s-' is not 's-{n}'"),
        ("landing/**/*.csv", "landing/x/y/a.txt", "'a.txt' is not '*.csv'"),
        ("landing/**/end/*.csv", "landing/a.csv", "too few folders for 'landing/**/end/*.csv'"),
        ("landing/**/end/*.csv", "landing/x/y/a.csv", "'y' is not 'end'"),
        ("landing/**/x/**/*.csv", "landing/y/z/a.csv", "its end is '**/x/**'"),
        ("landing/x/**", "landing/x", "it does not begin with 'landing/x/'"),
        ("landing/x*/**", "landing/x", "too few folders"),
        ("landing/**", "landing/x/../a.csv", "a part of it is `.` or `..`"),
    ],
)
def test_the_part_that_does_not_match_is_named(glob: str, path: str, why: str) -> None:
    said = why_not(glob, path)
    assert why in (said or "it matches")


NAMES = st.lists(st.sampled_from(["a", "b", "", "ab"]), min_size=1, max_size=5).map("/".join)
GLOBS = st.lists(
    st.sampled_from(["a", "b", "*", "**", "?", "{n}", "a*"]), min_size=1, max_size=5
).map("/".join)


@given(glob=GLOBS.filter(lambda glob: glob.count("{") < 2), path=NAMES)
def test_there_is_a_reason_if_and_only_if_the_pattern_does_not_match(glob: str, path: str) -> None:
    said = why_not(f"x/{glob}", f"x/{path}")
    matches = captures(f"x/{glob}", f"x/{path}") is not None
    assert (said is None) == matches
    if said and "**" not in glob:
        assert "nothing between" not in said
