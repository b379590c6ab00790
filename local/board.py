"""What happens to each file, read from the function log as an operator would read it."""

import re
import time
from dataclasses import dataclass, field

from rich.table import Table
from rich.text import Text

_LINE = re.compile(r"^\w+: Function\.\w+\.User\[0\] (?P<action>[a-z-]+)(?P<fields>( \w+=.*)?)$")
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_ENDS = {
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "rejected": "red",
    "superseded": "yellow",
}
_SHOWN = 30  # rows


@dataclass
class Row:
    """One job."""

    path: str
    route: str
    began: float
    steps: list[str] = field(default_factory=list)
    told: str = ""  # the newest fact worth telling
    seconds: float = 0.0


class Board:
    """The jobs of a run, by key."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def read(self, line: str) -> str | None:
        """Take a line of the host's output; return what is new in a few words, if anything."""
        found = _LINE.match(line)
        if found is None:
            return None
        said = {name: _plain(value) for name, value in _FIELD.findall(found["fields"])}
        action, key = found["action"], said.get("job")
        if key is None:
            return f"{action} {said.get('path', '')}".strip()
        row = self.rows.get(key)
        if row is None:
            row = Row(said.get("path", key), said.get("route", ""), time.monotonic())
            self.rows[key] = row
        return self._step(row, action, said)

    def table(self) -> Table:
        """Return the newest jobs as a table."""
        table = Table(title=self.headline(), title_justify="left", expand=True)
        for column in ("file or folder", "route", "what happened", "", "s"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        hidden = max(0, len(self.rows) - _SHOWN)
        for row in list(self.rows.values())[hidden:]:
            color = next((_ENDS[step] for step in row.steps if step in _ENDS), "default")
            steps = Text(" → ".join(row.steps), style=color)
            table.add_row(row.path, row.route, steps, row.told, f"{row.seconds:.1f}")
        return table

    def headline(self) -> str:
        """Return how many jobs there are and how many have been announced."""
        announced = sum("announced" in row.steps for row in self.rows.values())
        return f"{len(self.rows)} jobs, {announced} announced"

    def _step(self, row: Row, action: str, said: dict[str, str]) -> str:
        row.steps.append(action)
        row.seconds = time.monotonic() - row.began
        row.told = said.get("reason") or said.get("output") or said.get("batch_job") or row.told
        return f"{action} {row.path} {row.told}".strip()


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
