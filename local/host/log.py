"""The host's log: one line for each thing that happens, `level: Category[event] text`."""

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
class Speaker:
    """A run of a function: what it logs is passed on while it lasts, and from its thread only."""

    function: str
    thread: int | None = None


_speaker: contextvars.ContextVar[Speaker] = contextvars.ContextVar("speaker")


@contextlib.contextmanager
def speaking(function: str) -> Iterator[Speaker]:
    """Let this task, and those that it starts, log in the name of a function."""
    speaker = Speaker(function, threading.get_ident())
    _speaker.set(speaker)
    try:
        yield speaker
    finally:
        speaker.thread = None  # also for the tasks that outlive the run


def say(level: str, category: str, text: str) -> None:
    """Print one line of the log."""
    sys.stdout.write(_line(level, category, text) + "\n")  # in one piece: threads write as well


def take_over() -> None:
    """Send what the app logs to the host's log: from INFO on, and nothing from outside of runs."""
    sys.stdout.reconfigure(  # type: ignore[union-attr]
        encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setLevel(logging.INFO)
    handler.setFormatter(_UserLines("%(message)s"))
    handler.addFilter(lambda _: _has_a_voice())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


class _UserLines(logging.Formatter):
    """Keeps level, text and traceback; the logger's name and what is extra are lost."""

    def format(self, record: logging.LogRecord) -> str:
        level = _LEVELS.get(record.levelname, "info")
        return _line(level, f"Function.{_speaker.get().function}.User[0]", super().format(record))


def _has_a_voice() -> bool:
    speaker = _speaker.get(None)
    return speaker is not None and speaker.thread == threading.get_ident()


def _line(level: str, category: str, text: str) -> str:
    return f"{level}: {category} {_LINE_ENDS.sub(' ', text)}"
