"""Where a command speaks: to people, or as one JSON document to programs.

What others wrote, a file's name or a service's words, is shown without secrets and escaped.
"""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any, Protocol

import msgspec
import rich.console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.prompt import Confirm
from rich.text import Text

from scoring.cli.failures import Exit, Failure, UsageError
from scoring.log import logger, printable, redacted

_NOT_CUT = 10_000  # columns of a table that goes to a file or a program
_PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False}


class Bar(Protocol):
    """Shows how far something is."""

    def advance(self, steps: int) -> None:
        """Go so many steps, or bytes, on."""

    def say(self, text: str) -> None:
        """Replace the text beside the bar."""


class Console:
    """The result goes to standard output, all else to standard error.

    With `as_json` a command prints one JSON object and nothing else: its result, or `error`;
    warnings and log lines are in it. People get what `show` and `note` are given.
    """

    def __init__(self) -> None:
        self._out = rich.console.Console(**_PLAIN)
        if not self._out.is_terminal:
            self._out.width = _NOT_CUT
        self._err = rich.console.Console(stderr=True, **_PLAIN)
        self._has_printed = False
        self._warnings: list[str] = []
        self._log: list[str] = []

    @property
    def as_json(self) -> bool:
        """Whether a program reads what is printed."""
        return self._err.quiet

    @as_json.setter
    def as_json(self, value: bool) -> None:
        self._err.quiet = value

    def note(self, text: str) -> None:
        """Tell people how it goes."""
        self._err.print(_line(text))

    def warn(self, text: str) -> None:
        """Tell of something that the caller may not have meant."""
        self._warnings.append(text)
        self._err.print(_line(f"warning: {text}"), style="yellow")

    def show(self, *renderables: Any) -> None:
        """Show a part of the result to people: text, or a table of `scoring.cli.table`."""
        if self.as_json:
            return
        for renderable in renderables:
            with self._out.capture() as shown:
                self._out.print(_lines(renderable) if isinstance(renderable, str) else renderable)
            lines = redacted(shown.get()).split("\n")
            # rich fills the columns of a table, the last one too
            self._out.file.write("\n".join(line.rstrip() for line in lines))
        self._out.file.flush()

    def result(self, **document: Any) -> None:
        """Give programs the result; to be called once, at the end."""
        if self.as_json:
            self._print_json(document)

    def fail(self, failure: Failure) -> Exit:
        """Say how a command failed; return its exit code."""
        message = redacted(str(failure))
        self._err.print(_lines(f"error: {message}"), style="red")
        if self.as_json:
            kind = failure.exit_code.name.lower().replace("_", "-")
            error = {"kind": kind, "message": message, **failure.details}
            self._print_json({"error": error})
        return failure.exit_code

    def broke(self, bug: Exception) -> None:
        """Say to programs that a command ended in a way that nobody foresaw."""
        if self.as_json:
            self._print_json({"error": {"kind": "bug", "message": f"{type(bug).__name__}: {bug}"}})

    def confirm(self, question: str) -> None:
        """Ask, and go on only if the answer is yes.

        Raises:
            UsageError: it is no, or nobody is there to answer.
        """
        if self.as_json or not self._err.is_terminal:
            raise UsageError(f"{question} Say --yes to go on.")
        if not Confirm.ask(Text(_line(question)), console=self._err):
            raise UsageError("nothing was changed")

    @contextlib.contextmanager
    def bar(self, text: str, total: int | None = None, *, bytes_: bool = False) -> Iterator[Bar]:
        """Show a bar while something takes its time; without a total, that it goes on.

        Where no person looks, what is said beside it becomes lines.
        """
        if not self._err.is_terminal:
            yield _NoBar(self)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *([BarColumn()] if total is not None else []),
            *([DownloadColumn()] if bytes_ else []),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            yield _Bar(progress, progress.add_task(_line(text), total=total))

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Show the product's log lines."""
        handler = _Lines(self)
        logger.addHandler(handler)
        level, propagate = logger.level, logger.propagate
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate

    def log(self, line: str) -> None:
        """Show a line of the product's log."""
        self._log.append(line)
        self._err.print(_line(line), style="dim")

    def _print_json(self, document: dict[str, Any]) -> None:
        """Print the one document; what fails once it is out, the exit code alone can tell."""
        if self._has_printed:
            return
        self._has_printed = True
        said = {"warnings": self._warnings, "log": self._log}
        document |= {name: lines for name, lines in said.items() if lines}
        plain = msgspec.json.encode(_safe(msgspec.to_builtins(document, enc_hook=str)))
        print(_seen(msgspec.json.format(plain, indent=2).decode()))  # noqa: T201


def _line(text: str) -> str:
    return printable(redacted(text))


def _lines(text: str) -> str:
    return printable(redacted(text), but="\n")


def _seen(document: str) -> str:
    """Return a JSON document in which what cannot be seen stands as JSON's own escapes."""
    if document.replace("\n", "").isprintable():
        return document
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in document
    )


def _safe(plain: Any) -> Any:
    """Return a document without the secrets that a service's words in it may quote."""
    if isinstance(plain, str):
        return redacted(plain)
    if isinstance(plain, dict):
        return {name: _safe(value) for name, value in plain.items()}
    return [_safe(one) for one in plain] if isinstance(plain, list | tuple) else plain


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, steps: int) -> None:
        self._progress.advance(self._task, steps)

    def say(self, text: str) -> None:
        self._progress.update(self._task, description=_line(text))


class _NoBar:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def advance(self, steps: int) -> None:
        pass

    def say(self, text: str) -> None:
        if text != self._said:
            self._console.note(text)
        self._said = text


class _Lines(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record.getMessage())
