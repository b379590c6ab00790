"""What the worker never answers, and that `answers_always` has it answered."""

import subprocess

import pytest

from tests.pages import ROOT
from tests.worker.library import Answer, Worker, message

APP = ROOT / "tests" / "worker" / "traps"
SETTINGS = {"PYTHONPATH": str(ROOT)}  # where the sample app finds `scoring`


async def one(worker: Worker, function: str, text: str = "") -> Answer:
    (answer,) = (await worker.run(APP, SETTINGS, message(function, text))).answers
    return answer


@pytest.mark.parametrize(
    "trap", ["waits_for_what_only_it_holds", "is_cancelled", "awaits_what_was_cancelled"]
)
async def test_what_is_not_wrapped_falls_into_the_trap(worker: Worker, trap: str) -> None:
    """If this fails, the library has been mended, and `answers_always` may have become needless."""
    answer = await one(worker, trap)
    assert not answer.answered


async def test_an_invocation_whose_task_nobody_holds_is_answered(worker: Worker) -> None:
    answer = await one(worker, "waits_for_what_only_it_holds_answered")
    assert (answer.answered, answer.ok, answer.lines) == (True, True, [])


@pytest.mark.parametrize("trap", ["is_cancelled", "awaits_what_was_cancelled"])
async def test_a_cancellation_is_answered(worker: Worker, trap: str) -> None:
    answer = await one(worker, f"{trap}_answered")
    assert (answer.answered, answer.ok) == (True, False)
    assert answer.failure == f"RuntimeError('{trap} was ended by CancelledError()')"


async def test_an_exit_that_is_not_wrapped_ends_the_worker(worker: Worker) -> None:
    with pytest.raises(subprocess.CalledProcessError) as ended:
        await one(worker, "exits", "42")
    assert ended.value.returncode == 42


async def test_an_exit_is_answered(worker: Worker) -> None:
    answer = await one(worker, "exits_answered", "42")
    assert (answer.answered, answer.ok) == (True, False)
    assert answer.failure == "RuntimeError('exits was ended by SystemExit(42)')"
