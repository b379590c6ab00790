"""Patterns of paths: how what matches begins, and in words why a path does not match."""

import re

from scoring.routes.matching import captures
from scoring.uris import has_dot_segment


def literal_beginning(glob_or_template: str) -> str:
    """Return what every path that matches, or is rendered, begins with."""
    return re.split(r"[*?{]", glob_or_template, maxsplit=1)[0]


_ANY_FOLDERS = "**"


def why_not(glob: str, path: str) -> str | None:
    """Say which part of a pattern a path does not match; None: it matches.

    Names lie between slashes. No part of a pattern but `**` takes a slash, so each name before
    and after it has a counterpart in the path.
    """
    if has_dot_segment(path):
        return "a part of it is `.` or `..`, or may be read so: it would name another place"
    if captures(glob, path) is not None:
        return None
    beginning = literal_beginning(glob)
    if not path.startswith(beginning):
        return f"it does not begin with {beginning!r}{_case(path.lower(), beginning.lower())}"
    wanted, names = glob.split("/"), path.split("/")
    if _ANY_FOLDERS not in wanted:
        return _wrong_count(wanted, names) or _first_wrong(wanted, names)
    first, last = wanted.index(_ANY_FOLDERS), len(wanted) - wanted[::-1].index(_ANY_FOLDERS)
    before, after = wanted[:first], wanted[last:]
    if len(names) < len(before) + max(1, len(after)):
        return f"it lies in too few folders for {glob!r}"
    return (
        _first_wrong(before, names)
        or _first_wrong(after, names[-len(after) :] if after else [])
        or f"nothing between its beginning and its end is {'/'.join(wanted[first:last])!r}"
    )


def _wrong_count(wanted: list[str], names: list[str]) -> str | None:
    if len(names) == len(wanted):
        return None
    depth = "deeper" if len(names) > len(wanted) else "less deep"
    hint = ": only `**` stands for folders" if len(names) > len(wanted) else ""
    return f"it lies {depth} than {'/'.join(wanted)!r}{hint}"


def _first_wrong(wanted: list[str], names: list[str]) -> str | None:
    for glob, name in zip(wanted, names, strict=False):
        if captures(glob, name) is None:
            any_case = captures(glob.lower(), name.lower()) is not None
            return f"{name!r} is not {glob!r}{_CASE if any_case else ''}"
    return None


_CASE = ": upper and lower case differ"


def _case(text: str, beginning: str) -> str:
    if text.startswith(f"/{beginning}"):
        return ": leave the slash before it out"
    return _CASE if text.startswith(beginning) else ""
