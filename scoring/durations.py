"""Durations as people write them, e.g. `"90s"`, and as Azure ML does."""

import re
from datetime import timedelta

_WRITTEN = re.compile(r"([0-9]{1,6})([smhd]?)")
_UNITS = {
    "": timedelta(seconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def read_duration(written: object) -> timedelta:
    """Return the duration that a text says; a number alone counts seconds.

    Raises:
        ValueError: it is no duration, or none at all.
    """
    found = _WRITTEN.fullmatch(str(written))
    if found is None or int(found[1]) == 0:
        raise ValueError('must be seconds, or a text like "90s", "5m", "1h" or "2d"')
    return int(found[1]) * _UNITS[found[2]]


def iso8601(duration: timedelta) -> str:
    """Return a duration as Azure ML writes it, e.g. `PT30S`."""
    return f"PT{duration // timedelta(seconds=1)}S"
