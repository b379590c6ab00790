"""Rules: which of the subjects that match they apply to."""

import pytest

from local.rules import Rule, first_applying


class Begins(Rule[str], kw_only=True):
    """A rule for words that begin with `letters`."""

    letters: str = ""

    def matches(self, subject: str) -> bool:
        return subject.startswith(self.letters)


def applied(rule: Begins, *words: str) -> list[str]:
    return [word for word in words if rule.applies(word)]


@pytest.mark.parametrize(
    ("times", "words", "left"),
    [
        (0, [], 0),
        (1, ["a1"], 0),
        (2, ["a1", "a2"], 0),
        (4, ["a1", "a2", "a3"], 1),
        (-1, ["a1", "a2", "a3"], -1),
        (None, ["a1", "a2", "a3"], None),
    ],
)
def test_a_rule_applies_to_the_next_subjects_that_match(
    times: int | None, words: list[str], left: int | None
) -> None:
    rule = Begins(letters="a", times=times)
    assert applied(rule, "a1", "b1", "a2", "b2", "a3") == words
    assert rule.times == left


def test_a_rule_begins_after_the_matching_subjects_that_it_skips() -> None:
    rule = Begins(letters="a", skip=2, times=1)
    assert applied(rule, "a1", "b1", "a2", "b2", "a3", "a4") == ["a3"]


def test_a_subject_is_counted_by_the_first_rule_that_applies_only() -> None:
    first, second = Begins(letters="a"), Begins()
    chosen = [first_applying([first, second], word) for word in ("a1", "a2", "a3")]
    assert chosen == [first, second, None]


def test_a_subject_that_one_rule_skips_is_left_to_the_next() -> None:
    skipping, next_one = Begins(letters="a", skip=1), Begins()
    chosen = [first_applying([skipping, next_one], word) for word in ("a1", "a2")]
    assert chosen == [next_one, skipping]
