"""The simulation replays: the same seed gives the same history, in any process."""

import gc
import warnings
from pathlib import Path

import pytest

from tests.simulation import loop
from tests.simulation.process import output_of
from tests.simulation.world import World

ROOT = Path(__file__).resolve().parents[2]


def history(seed: int, *, hash_seed: int) -> str:
    output = output_of(ROOT, SEED=str(seed), PYTHONHASHSEED=str(hash_seed))
    assert " 0 violations" in output
    return next(line for line in output.splitlines() if line.startswith("history: "))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_seed_gives_the_same_history_in_every_process(seed: int) -> None:
    assert history(seed, hash_seed=1) == history(seed, hash_seed=2)


def test_seeds_differ() -> None:
    assert history(1, hash_seed=1) != history(2, hash_seed=1)


def test_a_run_without_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_MOST", 50)
    (violation,) = World(1).run()
    assert "the run came to no end" in violation
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # of what the run had begun: else a later test is told of it
