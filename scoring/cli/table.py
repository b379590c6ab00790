"""Tables for people: what is in a cell cannot change how the others are shown."""

from typing import Any

import rich.table
from rich.text import Text

from scoring.log import printable


class Table(rich.table.Table):
    """A table of rich's whose cells are names and words of others: each is one line, and escaped."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row of texts."""
        super().add_row(*map(_escaped, cells), **options)


def _escaped(cell: Any) -> Any:
    if isinstance(cell, Text):
        return cell.blank_copy(printable(cell.plain))
    return printable(cell) if isinstance(cell, str) else cell
