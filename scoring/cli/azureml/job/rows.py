"""The first rows of a file of predictions."""

import csv
from pathlib import Path

_AT_MOST = 256 * 1024  # bytes to read
_SEPARATORS = " ,\t;"
"""A space is Azure ML's default separator."""


def first_rows(file: Path, count: int) -> list[list[str]]:
    """Return the first rows, split into columns if a separator gives all of them the same number.

    A row that is cut off by the limit of bytes is left out.
    """
    with file.open("rb") as stream:
        beginning = stream.read(_AT_MOST)
        more = bool(stream.read(1))
    lines = beginning.decode("utf-8", "replace").splitlines()
    if more:
        lines = lines[:-1]
    lines = lines[:count]
    return next(
        (rows for rows in (_split(lines, one) for one in _SEPARATORS) if _is_table(rows)),
        [[line] for line in lines],
    )


def _split(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        return []


def _is_table(rows: list[list[str]]) -> bool:
    return bool(rows) and len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows)
