"""Waits between tries, and between looks."""

import itertools

import pytest

from scoring.cli.backoff import BATCH_JOBS, OPERATIONS, RETRIES, Backoff


def first(count: int, backoff: Backoff) -> list[float]:
    return list(itertools.islice(backoff.waits(), count))


def test_each_wait_is_longer_by_the_factor_until_the_longest() -> None:
    assert first(5, Backoff(first=1, longest=10, factor=3)) == [1, 3, 9, 10, 10]


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (RETRIES, [0.5, 1, 2, 4, 8, 15, 15]),
        (OPERATIONS, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15, 15]),
        (BATCH_JOBS, [2, 3, 4.5, 6.75, 10.125, 15.1875, 22.78125, 30, 30]),
    ],
)
def test_the_waits_of_the_commands(backoff: Backoff, waits: list[float]) -> None:
    assert first(len(waits), backoff) == pytest.approx(waits)
