"""The board reads the function log as an operator would."""

import pytest

from local.board import Board

HOST = "info: Function.on_landing.User[0] "
CORE_TOOLS = "[2026-11-24T12:00:00.000Z] "


@pytest.mark.parametrize("prefix", [HOST, CORE_TOOLS])
def test_the_steps_of_a_job_are_one_row(prefix: str) -> None:
    board = Board()
    board.read(f'{prefix}claimed job=1 route=r path="landing/two words.csv" state=submitting')
    board.read(f"{prefix}submitted job=1 route=r batch_job=b output=scored/p.csv")
    board.read(f"{prefix}announced job=1 type=Landfall.JobCompleted")
    (row,) = board.rows.values()
    assert (row.path, row.steps) == ("landing/two words.csv", ["claimed", "submitted", "announced"])
    assert board.headline() == "jobs: 1, announced: 1"


def test_what_no_route_takes_is_news_but_for_the_outputs_of_the_jobs() -> None:
    board = Board()
    board.read(f"{HOST}submitted job=1 path=landing/a.csv output=scored/p.csv")
    assert board.read(f"{HOST}ignored path=scored/p.csv reason=no-route") is None
    assert board.read(f"{HOST}ignored path=x.csv reason=no-route") == "ignored x.csv no-route"


def test_why_a_job_failed_is_told() -> None:
    board = Board()
    news = board.read(f'{HOST}rejected job=1 path=a.csv reason=empty message="it has no content"')
    assert news == "rejected a.csv empty"


@pytest.mark.parametrize("line", ["info: Host.Startup[0] Listening", "Traceback", ""])
def test_other_lines_are_no_news(line: str) -> None:
    assert Board().read(line) is None
