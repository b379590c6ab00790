"""A live table of the jobs and of the folders that fill, read from the function log."""

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

# Lines of our host begin with level and category, lines of the Core Tools with a time.
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
_FOLDER_IS_COMPLETE = ("claimed", "duplicate")  # actions of a folder's job
_WAITS = "waits for its turn"
RECEIPT = ".receipt.json"  # beside the output
_USUAL_STEPS = len("claimed → submitted → completed → announced")


@dataclass
class Row:
    """A job, or a folder that fills and has no job yet."""

    path: str
    began: float
    steps: list[str] = field(default_factory=list)
    detail: str = ""  # result, reason or state: the newest that is known
    seconds: float = 0.0
    files: set[str] = field(default_factory=set)  # that have landed in a folder that fills


class News(NamedTuple):
    """A piece of news, as a short text."""

    words: str
    above: bool = False  # print it above the table, which has no row or not enough space for it


class Board:
    """The rows: jobs by key, and folders that fill by route and path."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._outputs: set[str] = set()
        self._show: Callable[[News | None], None] = lambda _: None

    def read(self, line: str) -> News | None:
        """Read a line of the function log; return the news in it, if any."""
        found = _LINE.match(line)
        if found is None:
            return None
        fields = {name: _unquoted(value) for name, value in _FIELD.findall(found["fields"])}
        action, key = found["action"], fields.get("job")
        if action == "waiting":
            return self._fill(fields)
        if key is None:
            return self._without_a_row(action, fields)
        return self._step(self._row_of(key, action, fields), action, fields)

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
            table.add_row(row.path, steps, row.detail, f"{row.seconds:.1f}")
        return table

    def on_line(self, line: str) -> None:
        """Read a line of the function log and, while the board is shown, show the news in it."""
        self._show(self.read(line))

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show the board while the block runs: a table on a terminal, else a line for each step."""
        console = Console(highlight=False)
        with contextlib.ExitStack() as stack:
            if console.is_terminal:
                live = stack.enter_context(Live(self.table(), console=console))
                self._show = functools.partial(self._show_live, live)
            else:
                self._show = functools.partial(_print, console)
            yield
            self._show = lambda _: None

    def headline(self) -> str:
        """Return the title of the table: counts of jobs, announced jobs and folders that fill."""
        filling = sum(row.steps == [_FILLING] for row in self.rows.values())
        announced = sum("announced" in row.steps for row in self.rows.values())
        return f"jobs: {len(self.rows) - filling}, announced: {announced}, filling: {filling}"

    def _show_live(self, live: Live, news: News | None) -> None:
        if news and news.above:
            _print(live.console, news)
        live.update(self.table())

    def _fill(self, fields: dict[str, str]) -> News | None:
        """Count a file of a folder that fills."""
        folder, _, file = fields["path"].rpartition("/")
        if fields["reason"] == "marker" and self._has_open_job(folder):
            return None  # the folder has a job: this event came after the marker's
        fresh = Row(folder, time.monotonic(), [_FILLING])
        row = self.rows.setdefault(f"{fields['route']} {folder}", fresh)
        row.files.add(file)
        row.detail = f"{len(row.files)} landed, {_NOT_YET[fields['reason']]}"
        row.seconds = time.monotonic() - row.began
        return News(f"{_FILLING} {folder} {row.detail}") if len(row.files) == 1 else None

    def _has_open_job(self, folder: str) -> bool:
        return any(
            row.path == folder and row.steps != [_FILLING] and "announced" not in row.steps
            for row in self.rows.values()
        )

    def _without_a_row(self, action: str, fields: dict[str, str]) -> News | None:
        path = fields.get("path", "")
        if path.removesuffix(RECEIPT) in self._outputs:
            return None  # an output of a job: it lands as well, and no route matches it
        what = path or fields.get("digest") or fields.get("folder") or fields.get("version")
        why = fields.get("problem") or fields.get("reason") or fields.get("error")
        return News(" ".join(filter(None, (action, what, why))), above=True)

    def _row_of(self, key: str, action: str, fields: dict[str, str]) -> Row:
        path, began = fields.get("path", key), time.monotonic()
        if action in _FOLDER_IS_COMPLETE:
            filled = self.rows.pop(f"{fields.get('route')} {path}", None)
            began = filled.began if filled else began
        return self.rows.setdefault(key, Row(path, began))

    def _step(self, row: Row, action: str, fields: dict[str, str]) -> News:
        if row.steps[-1:] != [action]:
            row.steps.append(action)
        row.seconds = time.monotonic() - row.began
        if "output" in fields:
            self._outputs.add(fields["output"])
        facts = (fields.get(name) for name in ("reason", "error", "output", "batch_job"))
        waits = _WAITS if fields.get("state") == "pending" else ""
        row.detail = next(filter(None, facts), "") or waits or row.detail
        return News(f"{action} {row.path} {row.detail}".strip(), above=action == "announced")


def _print(console: Console, news: News | None) -> None:
    if news:
        console.print(news.words, markup=False, soft_wrap=True)


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
