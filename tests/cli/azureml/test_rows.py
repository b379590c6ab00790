"""The first rows of predictions."""

from pathlib import Path

import pytest

from scoring.cli.azureml.job import rows
from scoring.cli.azureml.job.rows import first_rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.csv 0.5\nb.csv 0.75\n", [["a.csv", "0.5"], ["b.csv", "0.75"]]),
        ('"two words.png" 7\nb.png 1\n', [["two words.png", "7"], ["b.png", "1"]]),
        ("a.csv,0.5\nb.csv,0.75", [["a.csv", "0.5"], ["b.csv", "0.75"]]),
        ("a\t1\nb\t2\n", [["a", "1"], ["b", "2"]]),
        ("a b c\nd e\n", [["a b c"], ["d e"]]),  # not as many columns: no table
        ("one\ntwo\n", [["one"], ["two"]]),
        ('a "b\nc d\n', [['a "b'], ["c d"]]),  # a quote that is never closed
        ("", []),
    ],
)
def test_rows_are_split_where_all_have_as_many_columns(
    text: str, expected: list[list[str]], tmp_path: Path
) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text(text)
    assert first_rows(file, 10) == expected


def test_only_so_many_rows_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("".join(f"{n} x\n" for n in range(1_000)))
    assert first_rows(file, 2) == [["0", "x"], ["1", "x"]]


def test_a_row_that_is_not_read_to_its_end_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_AT_MOST", 10)
    file = tmp_path / "predictions.csv"
    file.write_text("a 1\n" + "b" * 100 + " 2\n")
    assert first_rows(file, 10) == [["a", "1"]]


def test_what_is_no_text_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "predictions.bin"
    file.write_bytes(b"\xff\xfe\n")
    assert first_rows(file, 10) == [["\ufffd\ufffd"]]
