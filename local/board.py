"""What happens to each file, read from the function log as an operator would read it."""

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

# Our host's lines begin with level and category, those of the Core Tools with a time.
_LINE = re.compile(
    r"^(?:\w+: Function\.\w+\.User\[0\]|\[\S+\]) (?P<action>[a-z-]+)(?P<fields>( \w+=.*)?)$"
)
_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_ENDS = {
    "completed": "green",
    "failed": "red",
    "canceled": "yellow",
    "timed-out": "red",
    "rejected": "red",
    "superseded": "yellow",
}
_SHOWN = 30  # rows
_WITHOUT_A_ROW = (
    "ignored ",
    "unreadable ",
    "quarantined ",
    "stuck ",
    "unstuck ",
    "route-broken ",
    "last-answer-used ",
)
_USUAL_STEPS = len("claimed → submitted → completed → announced")


@dataclass
class Row:
    """One job."""

    path: str
    began: float
    steps: list[str] = field(default_factory=list)
    told: str = ""  # the newest fact worth telling
    seconds: float = 0.0


class Board:
    """The jobs of a run, by key."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._outputs: set[str] = set()
        self._show: Callable[[str], None] = lambda _: None

    def read(self, line: str) -> str | None:
        """Take a line of the host's output; return what is new in a few words, if anything."""
        found = _LINE.match(line)
        if found is None:
            return None
        said = {name: _plain(value) for name, value in _FIELD.findall(found["fields"])}
        action, key = found["action"], said.get("job")
        if key is None:
            # The outputs of the jobs land as well, and no route takes them.
            ours = said.get("path") in self._outputs
            why = said.get("problem") or said.get("reason") or said.get("error") or ""
            words = (action, said.get("path"), why)
            return None if ours else " ".join(word for word in words if word)
        row = self.rows.get(key)
        if row is None:
            row = Row(said.get("path", key), time.monotonic())
            self.rows[key] = row
        return self._step(row, action, said)

    def table(self) -> Table:
        """Return the newest jobs as a table."""
        table = Table(title=self.headline(), title_justify="left", expand=True)
        table.add_column("file or folder", no_wrap=True, ratio=3, min_width=26)
        table.add_column("what happened", no_wrap=True, min_width=_USUAL_STEPS)
        table.add_column("result or reason", no_wrap=True, ratio=1)
        table.add_column("s", no_wrap=True, min_width=5, justify="right")
        hidden = max(0, len(self.rows) - _SHOWN)
        for row in list(self.rows.values())[hidden:]:
            color = next((_ENDS[step] for step in row.steps if step in _ENDS), "default")
            steps = Text(" → ".join(row.steps), style=color)
            table.add_row(row.path, steps, row.told, f"{row.seconds:.1f}")
        return table

    def tell(self, line: str) -> None:
        """Take a line of the host's output and, while the board is shown, show what is new."""
        news = self.read(line)
        if news:
            self._show(news)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the board: a live table on a terminal, else a line for each step."""
        console = Console(highlight=False)
        with contextlib.ExitStack() as until_then:
            if console.is_terminal:
                live = until_then.enter_context(Live(self.table(), console=console))
                self._show = functools.partial(self._show_live, live)
            else:
                self._show = lambda news: console.print(news, markup=False, soft_wrap=True)
            yield
            self._show = lambda _: None

    def _show_live(self, live: Live, news: str) -> None:
        if news.startswith(_WITHOUT_A_ROW):
            live.console.print(news, markup=False, soft_wrap=True)
        live.update(self.table())

    def headline(self) -> str:
        """Return how many jobs there are and how many have been announced."""
        announced = sum("announced" in row.steps for row in self.rows.values())
        return f"jobs: {len(self.rows)}, announced: {announced}"

    def _step(self, row: Row, action: str, said: dict[str, str]) -> str:
        row.steps.append(action)
        row.seconds = time.monotonic() - row.began
        self._outputs.add(said.get("output", ""))
        row.told = said.get("reason") or said.get("output") or said.get("batch_job") or row.told
        return f"{action} {row.path} {row.told}".strip()


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
