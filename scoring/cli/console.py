"""What a command prints: text for people, or one JSON document for programs."""

import contextlib
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

from scoring.cli.failures import Exit, Failure, UsageError
from scoring.log import logger, redacted

_NOT_CUT = 10_000  # columns of a table that goes to a file or a program
_PLAIN: dict[str, Any] = {"highlight": False, "soft_wrap": True, "markup": False}


class Bar(Protocol):
    """Shows the progress of something."""

    def advance(self, steps: int) -> None:
        """Advance by so many steps, or bytes."""

    def describe(self, text: str) -> None:
        """Replace the text beside the bar."""


class Console:
    """Prints the result to standard output, everything else to standard error.

    With `as_json` a command prints one JSON object and nothing else: its result or `error`, with
    warnings and log lines. Without it, what `show` and `note` are given.
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
        """Whether to print JSON, for programs."""
        return self._err.quiet

    @as_json.setter
    def as_json(self, value: bool) -> None:
        self._err.quiet = value

    def note(self, text: str) -> None:
        """Print a line about progress."""
        self._err.print(redacted(text))

    def warn(self, text: str) -> None:
        """Print a warning: something may not be what the user wants."""
        self._warnings.append(text)
        self._err.print(redacted(f"warning: {text}"), style="yellow")

    def show(self, *renderables: Any) -> None:
        """Print a part of the result for people: text, or one of rich's tables."""
        if self.as_json:
            return
        for renderable in renderables:
            with self._out.capture() as shown:
                self._out.print(renderable)
            lines = redacted(shown.get()).split("\n")
            # rich pads all columns of a table, also the last one
            self._out.file.write("\n".join(line.rstrip() for line in lines))
        self._out.file.flush()

    def result(self, **document: Any) -> None:
        """Print the result for programs. Called once, at the end."""
        if self.as_json:
            self._print_json(document)

    def fail(self, failure: Failure) -> Exit:
        """Print why a command failed; return its exit code."""
        message = redacted(str(failure))
        self._err.print(f"error: {message}", style="red")
        if self.as_json:
            kind = failure.exit_code.name.lower().replace("_", "-")
            error = {"kind": kind, "message": message, **failure.details}
            self._print_json({"error": error})
        return failure.exit_code

    def broke(self, bug: Exception) -> None:
        """Report an unexpected exception to programs."""
        if self.as_json:
            self._print_json({"error": {"kind": "bug", "message": f"{type(bug).__name__}: {bug}"}})

    def confirm(self, question: str) -> None:
        """Ask the user a question, and return if the answer is yes.

        Raises:
            UsageError: the answer is no, or there is no terminal to ask at.
        """
        if self.as_json or not self._err.is_terminal:
            raise UsageError(f"{question} Use --yes to confirm.")
        if not Confirm.ask(question, console=self._err):
            raise UsageError("nothing was changed")

    @contextlib.contextmanager
    def bar(self, text: str, total: int | None = None, *, bytes_: bool = False) -> Iterator[Bar]:
        """Show a progress bar; a spinner if there is no total.

        Without a terminal, each new text is printed as a line.
        """
        if not self._err.is_terminal:
            yield _NoBar(self)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *([BarColumn()] if total is not None else []),
            *([DownloadColumn()] if bytes_ else []),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._err, transient=True) as progress:
            yield _Bar(progress, progress.add_task(text, total=total))

    @contextlib.contextmanager
    def logging(self) -> Iterator[None]:
        """Print the product's log lines."""
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
        """Print a line of the product's log."""
        self._log.append(line)
        self._err.print(line, style="dim")

    def _print_json(self, document: dict[str, Any]) -> None:
        """Print the one document. A failure after that shows in the exit code only."""
        if self._has_printed:
            return
        self._has_printed = True
        beside = {"warnings": self._warnings, "log": self._log}
        document |= {name: lines for name, lines in beside.items() if lines}
        plain = msgspec.json.encode(_safe(msgspec.to_builtins(document, enc_hook=str)))
        print(msgspec.json.format(plain, indent=2).decode())  # noqa: T201


def _safe(plain: Any) -> Any:
    """Return a document without secrets, which a service's messages in it may quote."""
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

    def describe(self, text: str) -> None:
        self._progress.update(self._task, description=text)


class _NoBar:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def advance(self, steps: int) -> None:
        pass

    def describe(self, text: str) -> None:
        if text != self._last:
            self._console.note(text)
        self._last = text


class _Lines(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.log(record.getMessage())
