"""The host's log: lines of the form `level: Category[event] text`."""

import contextlib
import contextvars
import dataclasses
import logging
import re
import sys
import threading
from collections.abc import Iterator

_LEVELS = {"INFO": "info", "WARNING": "warn", "ERROR": "fail", "CRITICAL": "crit"}
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclasses.dataclass
class LogContext:
    """A run of a function; its records are logged during the run and from its thread only."""

    function: str
    thread: int | None = None  # None: the run has ended


_context: contextvars.ContextVar[LogContext] = contextvars.ContextVar("log context")


@contextlib.contextmanager
def log_context(function: str) -> Iterator[LogContext]:
    """Log the records of this task, and of tasks that it starts, under a function's name."""
    context = LogContext(function, threading.get_ident())
    _context.set(context)
    try:
        yield context
    finally:
        context.thread = None  # tasks that outlive the run share the context: they log no more


def write(level: str, category: str, text: str) -> None:
    """Print one line of the log."""
    sys.stdout.write(_line(level, category, text) + "\n")  # in one call: other threads write too


def capture_logging() -> None:
    """Send the app's log records to the host's log: INFO and above, from runs of functions only."""
    sys.stdout.reconfigure(  # type: ignore[union-attr]
        encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.INFO)
    handler.setFormatter(_UserLines("%(message)s"))
    handler.addFilter(lambda _: _in_a_run())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


class _UserLines(logging.Formatter):
    """Formats level, message and traceback; the logger's name and extra fields are left out."""

    def format(self, record: logging.LogRecord) -> str:
        level = _LEVELS.get(record.levelname, "info")
        return _line(level, f"Function.{_context.get().function}.User[0]", super().format(record))


def _in_a_run() -> bool:
    context = _context.get(None)
    return context is not None and context.thread == threading.get_ident()


def _line(level: str, category: str, text: str) -> str:
    return f"{level}: {category} {_LINE_ENDS.sub(' ', text)}"
