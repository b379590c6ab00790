"""Durations as people write them and as Azure ML does."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.durations import iso8601, read_duration


@pytest.mark.parametrize(
    ("written", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("30", timedelta(seconds=30)),
        (30, timedelta(seconds=30)),
        ("007s", timedelta(seconds=7)),
        ("999999d", timedelta(days=999_999)),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(written: object, duration: timedelta) -> None:
    assert read_duration(written) == duration


@pytest.mark.parametrize(
    "written",
    [
        *("", "0s", "-5m", "m", "5 m", "5M", "5min", "1h30m", "1.5h", "5m\n", "٣s", "1000000s"),
        *("PT30S", 0, -5, 1.5, 10**30, True, None, [5]),
    ],
)
def test_anything_else_is_none(written: object) -> None:
    with pytest.raises(ValueError, match='like "90s"'):
        read_duration(written)


@given(seconds=st.integers(1, 999_999))
def test_azure_ml_is_told_the_same_seconds(seconds: int) -> None:
    assert iso8601(read_duration(seconds)) == f"PT{seconds}S"
