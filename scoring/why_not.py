"""Why a path does not match a route's pattern, in words: `route` says only whether it does."""

import re

from scoring.route import literal_beginning, pattern

_ANY_FOLDERS = "**"


def why_not(glob: str, path: str) -> str | None:
    """Say which part of a pattern a path does not match; None: it matches.

    Names lie between slashes. No part of a pattern but `**` takes a slash, so each name before
    and after it has a counterpart in the path.
    """
    if pattern(glob).fullmatch(path):
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
        if not pattern(glob).fullmatch(name):
            any_case = re.fullmatch(pattern(glob).pattern, name, re.IGNORECASE | re.DOTALL)
            return f"{name!r} is not {glob!r}{_CASE if any_case else ''}"
    return None


_CASE = ": upper and lower case differ"


def _case(text: str, beginning: str) -> str:
    if text.startswith(f"/{beginning}"):
        return ": leave the slash before it out"
    return _CASE if text.startswith(beginning) else ""
