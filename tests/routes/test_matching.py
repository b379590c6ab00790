"""What a pattern matches, what its names stand for, and how long that takes."""

import itertools
from typing import Any, Self

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.routes.matching import captures, names_in
from scoring.routes.patterns import literal_beginning
from tests.routes.expression import expression


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
    assert captures(glob, path) is not None


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
    assert captures(glob, path) is None


@given(path=st.text())
def test_a_path_without_wildcards_matches_itself_only(path: str) -> None:
    assume(not set(path) & set("*?{}"))
    assert captures("landing/" + path, "landing/" + path) == {}
    assert captures("landing/" + path, "landing/" + path + "\n") is None


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
    assert (captures(f"x/{glob}", f"x/{text}") is not None) == matches(glob, text)


# --- names --------------------------------------------------------------------------------------


def test_the_names_of_a_pattern_come_in_their_order() -> None:
    assert names_in("landing/{site}/{day_2}-*/**") == ["site", "day_2"]


@pytest.mark.parametrize("glob", ["a/{Site}", "a/{}", "a/{site", "a/site}", "a/{{site}}", "a/{2}"])
def test_a_brace_that_is_no_name_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        names_in(glob)


@pytest.mark.parametrize(
    ("glob", "path", "found"),
    [
        ("l/{a}-{b}.csv", "l/x-y-z.csv", {"a": "x-y", "b": "z"}),
        ("l/{a}{b}", "l/xyz", {"a": "xy", "b": "z"}),
        ("l/*{a}.csv", "l/xyz.csv", {"a": "z"}),
        ("l/*-*{a}", "l/x-y-z", {"a": "z"}),
        ("l/**/{a}/**", "l/x/y/z", {"a": "y"}),
        ("l/**/{a}.csv", "l/a.csv", {"a": "a"}),
    ],
)
def test_a_name_stands_for_as_much_as_possible_the_first_before_the_next(
    glob: str, path: str, found: dict[str, str]
) -> None:
    """Folders' paths and keys contain them: what they stand for must not change."""
    assert captures(glob, path) == found


def expected(glob: str, path: str) -> dict[str, Any] | None:
    found = expression(glob).fullmatch(path)
    return found.groupdict() if found else None


def globs(parts: str, longest: int) -> list[str]:
    made = ("".join(one) for one in _products(parts.split(), longest))
    return [one for one in dict.fromkeys(made) if one.count("{x}") < 2 and one.count("{y}") < 2]


def _products(parts: Any, longest: int) -> Any:
    lengths = range(longest + 1)
    return itertools.chain(*(itertools.product(parts, repeat=length) for length in lengths))


@pytest.mark.parametrize(
    ("parts", "longest", "alphabet", "longest_path"),
    [
        ("a b / * ** **/ ? {x} {y}", 3, "ab/", 4),
        ("/ * **/ {x}", 5, "a/", 5),
        ("a * {x} {y} -", 5, "a-", 5),
    ],
)
def test_names_stand_for_what_a_regular_expression_says(
    parts: str, longest: int, alphabet: str, longest_path: int
) -> None:
    """All short patterns and all short paths."""
    paths = list(map("".join, _products(alphabet, longest_path)))
    for glob in globs(parts, longest):
        whole = expression(glob)
        for path in paths:
            found = whole.fullmatch(path)
            assert captures(glob, path) == (found.groupdict() if found else None), (glob, path)


PARTS = ["*", "**", "/", "**/", "?", "{x}", "{y}", "{z}", "a", "-", "ab", "*a*", ".csv", "🫀"]


@given(
    glob=st.lists(st.sampled_from(PARTS), max_size=10).map("".join),
    path=st.text("ab-/.csv🫀", max_size=14),
)
def test_names_stand_for_what_a_regular_expression_says_in_longer_patterns(
    glob: str, path: str
) -> None:
    assume(len(names_in(glob)) == len(set(names_in(glob))))
    assert captures(glob, path) == expected(glob, path)


@given(glob=st.lists(st.sampled_from(PARTS), max_size=6).map("".join), data=st.data())
def test_whatever_matches_begins_with_the_literal_beginning(glob: str, data: st.DataObject) -> None:
    """The loop guard's comparison of beginnings rests on this."""
    assume(len(names_in(glob)) == len(set(names_in(glob))))
    path = data.draw(st.from_regex(expression(glob), fullmatch=True))
    assert captures(glob, path) is not None
    assert path.startswith(literal_beginning(glob))


# --- how long it takes --------------------------------------------------------------------------


class Counted(str):
    """A path that may be looked at so often and no more."""

    __slots__ = ("left",)
    left: int

    def __new__(cls, text: str, most: int) -> Self:
        made = super().__new__(cls, text)
        made.left = most
        return made

    def __getitem__(self, at: Any) -> str:
        self._count()
        return super().__getitem__(at)

    def startswith(self, *args: Any) -> bool:
        self._count()
        return super().startswith(*args)

    def _count(self) -> None:
        self.left -= 1
        assert self.left >= 0, "it takes too long"


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("landing/{site}-{year}-{month}-{day}.csv", "landing/" + "-" * 480 + ".txt"),
        ("l/{a}{b}{c}{d}{e}{f}.csv", "l/" + "a" * 1_000),
        ("l/" + "?*" * 12 + ".csv", "l/" + "a" * 1_000),
        ("l/" + "*a" * 20 + "*.csv", "l/" + "a" * 1_000),
        ("l/" + "*ab{x}"[:3] * 10 + "*.csv", "l/" + "aab" * 300),
        ("l/**/x/**/y/**/z/**/{a}/*.csv", "l/" + "x/y/z/" * 160),
        ("l/**/{a}-*/**/{b}-*.csv", "l/" + "a-/" * 300),
    ],
)
def test_matching_takes_at_most_as_long_as_the_path_times_the_pattern(glob: str, path: str) -> None:
    """One file's name must not stop the app: a regular expression takes minutes for the first."""
    assert captures(glob, Counted(path, 2 * len(path) * len(glob))) is None


def test_the_looks_at_a_path_are_counted() -> None:
    with pytest.raises(AssertionError, match="too long"):
        captures("landing/*.csv", Counted("landing/a.csv", 3))
