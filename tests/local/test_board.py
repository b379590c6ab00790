"""The board: which rows and news the lines of the function log give."""

import io

import pytest
from rich.console import Console

from local.board import Board, News, Row

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
    assert board.headline() == "jobs: 1, announced: 1, filling: 0"


def test_an_ignored_file_is_news_unless_it_is_an_output_or_a_receipt_of_a_job() -> None:
    board = Board()
    board.read(f"{HOST}submitted job=1 path=landing/a.csv output=scored/p.csv")
    assert board.read(f"{HOST}ignored path=scored/p.csv reason=no-route") is None
    assert board.read(f"{HOST}ignored path=scored/p.csv.receipt.json reason=no-route") is None
    news = board.read(f"{HOST}ignored path=x.csv reason=no-route")
    assert news == News("ignored x.csv no-route", above=True)


def test_lines_without_a_job_are_shown_above_the_table() -> None:
    news = Board().read(f'{HOST}job-error folder=f state=filling error="SetupError: no"')
    assert news == News("job-error f SetupError: no", above=True)
    news = Board().read(f"{HOST}announced digest=d type=Landfall.MessageQuarantined")
    assert news == News("announced d", above=True)
    news = Board().read(f"{HOST}started version=0.1.0 routes=3")
    assert news == News("started 0.1.0", above=True)


def test_a_result_is_shown_in_full_above_the_table() -> None:
    board = Board()
    board.read(f"{HOST}completed job=1 path=landing/a.csv output=scored/p.csv")
    news = board.read(f"{HOST}announced job=1 type=Landfall.JobCompleted")
    assert news == News("announced landing/a.csv scored/p.csv", above=True)


def test_the_reason_of_a_rejection_is_shown() -> None:
    news = Board().read(f'{HOST}rejected job=1 path=a.csv reason=empty message="it has no content"')
    assert news == News("rejected a.csv empty")


def test_a_job_waits_for_its_turn_until_it_is_submitted() -> None:
    board = Board()
    board.read(f"{HOST}claimed job=1 route=r path=a.csv state=pending")
    (row,) = board.rows.values()
    assert (row.steps, row.detail) == (["claimed"], "waits for its turn")
    board.read(f"{HOST}submitted job=1 route=r path=a.csv output=scored/p.csv")
    assert row.detail == "scored/p.csv"


def test_a_job_that_is_not_held_back_waits_for_nothing() -> None:
    assert Board().read(f"{HOST}claimed job=1 path=a.csv state=submitting") == News("claimed a.csv")


def test_a_repeated_step_is_shown_once_and_an_error_is_shown() -> None:
    board = Board()
    board.read(f"{HOST}canceling job=1 batch_job=b reason=run-timeout")
    board.read(f"{HOST}job-error job=1 state=submitted error=403")
    (row,) = board.rows.values()
    assert row.detail == "403"
    board.read(f"{HOST}canceling job=1 batch_job=b reason=run-timeout")
    board.read(f"{HOST}canceling job=1 batch_job=b reason=run-timeout")
    board.read(f"{HOST}timed-out job=1 batch_job=b reason=run-timeout")
    assert row.steps == ["canceling", "job-error", "canceling", "timed-out"]


# --- folders ------------------------------------------------------------------------------------


def land(board: Board, *files: str, reason: str = "quiet") -> list[News | None]:
    folder = f"{HOST}waiting path=landing/inbox/a/"
    return [board.read(f"{folder}{file} route=inbox reason={reason}") for file in files]


def step(board: Board, action: str, job: str = "1") -> News | None:
    return board.read(f"{HOST}{action} job={job} route=inbox path=landing/inbox/a")


def filling(board: Board) -> list[Row]:
    return [row for row in board.rows.values() if row.steps == ["filling"]]


def test_the_files_of_a_folder_that_fills_are_one_row_and_news_once() -> None:
    board = Board()
    news = land(board, "1.png", "2.png", "2.png")
    (row,) = board.rows.values()
    assert (row.path, row.detail) == ("landing/inbox/a", "2 landed, not quiet yet")
    assert news == [News("filling landing/inbox/a 1 landed, not quiet yet"), None, None]
    assert board.headline() == "jobs: 0, announced: 0, filling: 1"


def test_the_job_of_a_folder_replaces_its_row_and_began_with_its_first_file() -> None:
    board = Board()
    land(board, "1.png")
    (filled,) = board.rows.values()
    step(board, "claimed")
    (row,) = board.rows.values()
    assert (row.path, row.steps, row.began) == ("landing/inbox/a", ["claimed"], filled.began)


def test_a_folder_keeps_its_place_in_the_table() -> None:
    board, screen = Board(), io.StringIO()
    land(board, "1.png")
    board.read(f"{HOST}claimed job=2 path=landing/b.csv")
    step(board, "claimed")
    Console(file=screen, width=150).print(board.table())
    assert screen.getvalue().index("landing/inbox/a") < screen.getvalue().index("landing/b.csv")


def test_a_folder_that_fills_again_has_a_second_row_until_its_next_job_is_known() -> None:
    board = Board()
    step(board, "claimed")
    land(board, "1.png")
    step(board, "submitted")
    assert len(filling(board)) == 1
    step(board, "duplicate")
    assert filling(board) == []


def test_a_folder_whose_marker_came_before_the_event_of_a_file_does_not_fill_again() -> None:
    board = Board()
    land(board, "1.png", "2.png", reason="marker")
    assert filling(board)[0].detail == "2 landed, no marker yet"
    step(board, "claimed")
    assert land(board, "3.png", reason="marker") == [None]
    assert filling(board) == []
    step(board, "announced")
    land(board, "4.png", reason="marker")
    assert len(filling(board)) == 1


@pytest.mark.parametrize("line", ["info: Host.Startup[0] Listening", "Traceback", ""])
def test_other_lines_are_no_news(line: str) -> None:
    assert Board().read(line) is None
