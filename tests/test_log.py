"""Log lines can be read back, whatever stands in a file's name or in what a service says."""

import pytest

from scoring.jobs.outcome import Status
from scoring.log import Action, line
from tests.infra import logged
from tests.pages import ROOT

RELEASED = (ROOT / "tests" / "payloads" / "log-lines-0.1.0.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("landing/a-b_c.csv", "landing/a-b_c.csv"),
        ("two words", '"two words"'),
        ('a"b', r'"a\"b"'),
        ("a\\b", r'"a\\b"'),
        ("one\r\nfailed job=2", '"one  failed job=2"'),
        ("\u2028\x85", '"  "'),
        ("😀=&", '"😀=&"'),
        ("", '""'),
    ],
)
def test_a_value_that_is_not_plain_stands_in_quotes_and_in_one_line(
    value: str, written: str
) -> None:
    assert line(Action.IGNORED, path=value) == f"ignored path={written}"


def test_what_is_not_known_is_left_out_and_what_is_long_is_cut() -> None:
    assert line(Action.HELD, job="1", reason=None) == "held job=1"
    assert len(line(Action.HELD, reason="x" * 10_000)) < 2_100


@pytest.mark.parametrize("status", Status)
def test_every_end_has_its_action(status: Status) -> None:
    assert Action(status)


def test_what_a_release_logs_keeps_its_actions_and_their_fields_in_their_order() -> None:
    """Queries read the lines of two versions at once. A line may get more fields; `*`: any action."""
    assert [line for line in RELEASED if not _is_logged(*line.split())] == []


def _is_logged(action: str, *fields: str) -> bool:
    calls = [iter(passed) for name, passed in logged.lines() if name == action]
    return any(all(field in passed for field in fields) for passed in calls)
