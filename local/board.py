"""What happens to each file, read from the function log as an operator would read it."""

import contextlib
import functools
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

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
_FILLING = "filling"
_NOT_YET = {"marker": "no marker yet", "quiet": "not quiet yet"}
_TAKE_THE_FOLDER = ("claimed", "duplicate")  # what ends the filling of a folder
_WAITS = "waits for its turn"
RECEIPT = ".receipt.json"  # beside the output
_USUAL_STEPS = len("claimed → submitted → completed → announced")


@dataclass
class Row:
    """One job, or a folder that fills until it gets one."""

    path: str
    began: float
    steps: list[str] = field(default_factory=list)
    told: str = ""  # the newest fact worth telling
    seconds: float = 0.0
    files: set[str] = field(default_factory=set)  # that landed while a folder fills


class News(NamedTuple):
    """What is new, in a few words."""

    words: str
    above: bool = False  # the table: it has no row for it, or is too narrow


class Board:
    """The jobs of a run, by key, and the folders that fill, by route and path."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._outputs: set[str] = set()
        self._show: Callable[[News | None], None] = lambda _: None

    def read(self, line: str) -> News | None:
        """Take a line of the host's output; return what is new, if anything."""
        found = _LINE.match(line)
        if found is None:
            return None
        said = {name: _plain(value) for name, value in _FIELD.findall(found["fields"])}
        action, key = found["action"], said.get("job")
        if action == "waiting":
            return self._fill(said)
        if key is None:
            return self._without_a_row(action, said)
        return self._step(self._row_of(key, action, said), action, said)

    def table(self) -> Table:
        """Return the newest jobs and folders as a table."""
        table = Table(title=self.headline(), title_justify="left", expand=True)
        table.add_column("file or folder", no_wrap=True, ratio=1, min_width=26)
        table.add_column("what happened", no_wrap=True, min_width=_USUAL_STEPS)
        table.add_column("result or reason", no_wrap=True, ratio=1)
        table.add_column("s", no_wrap=True, min_width=5, justify="right")
        for row in sorted(self.rows.values(), key=lambda row: row.began)[-_SHOWN:]:
            color = next((_ENDS[step] for step in row.steps if step in _ENDS), "default")
            steps = Text(" → ".join(row.steps), style=color)
            table.add_row(row.path, steps, row.told, f"{row.seconds:.1f}")
        return table

    def tell(self, line: str) -> None:
        """Take a line of the host's output and, while the board is shown, show what is new."""
        self._show(self.read(line))

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the board: a live table on a terminal, else a line for each step."""
        console = Console(highlight=False)
        with contextlib.ExitStack() as until_then:
            if console.is_terminal:
                live = until_then.enter_context(Live(self.table(), console=console))
                self._show = functools.partial(self._show_live, live)
            else:
                self._show = functools.partial(_print, console)
            yield
            self._show = lambda _: None

    def headline(self) -> str:
        """Return how many jobs there are, how many are announced, how many folders fill."""
        filling = sum(row.steps == [_FILLING] for row in self.rows.values())
        announced = sum("announced" in row.steps for row in self.rows.values())
        return f"jobs: {len(self.rows) - filling}, announced: {announced}, filling: {filling}"

    def _show_live(self, live: Live, news: News | None) -> None:
        if news and news.above:
            _print(live.console, news)
        live.update(self.table())

    def _fill(self, said: dict[str, str]) -> News | None:
        """Count a file of a folder that is not complete."""
        folder, _, file = said["path"].rpartition("/")
        if said["reason"] == "marker" and self._has_open_job(folder):
            return None  # its event came later than the marker's
        fresh = Row(folder, time.monotonic(), [_FILLING])
        row = self.rows.setdefault(f"{said['route']} {folder}", fresh)
        row.files.add(file)
        row.told = f"{len(row.files)} landed, {_NOT_YET[said['reason']]}"
        row.seconds = time.monotonic() - row.began
        return News(f"{_FILLING} {folder} {row.told}") if len(row.files) == 1 else None

    def _has_open_job(self, folder: str) -> bool:
        return any(
            row.path == folder and row.steps != [_FILLING] and "announced" not in row.steps
            for row in self.rows.values()
        )

    def _without_a_row(self, action: str, said: dict[str, str]) -> News | None:
        path = said.get("path", "")
        if path.removesuffix(RECEIPT) in self._outputs:
            return None  # the outputs of the jobs land as well, and no route takes them
        what = path or said.get("digest") or said.get("folder") or said.get("version")
        why = said.get("problem") or said.get("reason") or said.get("error")
        return News(" ".join(filter(None, (action, what, why))), above=True)

    def _row_of(self, key: str, action: str, said: dict[str, str]) -> Row:
        path, began = said.get("path", key), time.monotonic()
        if action in _TAKE_THE_FOLDER:
            filled = self.rows.pop(f"{said.get('route')} {path}", None)
            began = filled.began if filled else began
        return self.rows.setdefault(key, Row(path, began))

    def _step(self, row: Row, action: str, said: dict[str, str]) -> News:
        if row.steps[-1:] != [action]:
            row.steps.append(action)
        row.seconds = time.monotonic() - row.began
        if "output" in said:
            self._outputs.add(said["output"])
        facts = (said.get(name) for name in ("reason", "error", "output", "batch_job"))
        waits = _WAITS if said.get("state") == "pending" else ""
        row.told = next(filter(None, facts), "") or waits or row.told
        return News(f"{action} {row.path} {row.told}".strip(), above=action == "announced")


def _print(console: Console, news: News | None) -> None:
    if news:
        console.print(news.words, markup=False, soft_wrap=True)


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
