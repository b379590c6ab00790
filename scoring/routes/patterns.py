"""Patterns of paths: whether a path matches, and in words why it does not."""

import functools
import re

_GLOB = re.compile(
    r"(?P<any>\*\*/?)|(?P<chunk>\*(?P<text>[^*?{}/]+)(?=\*(?!\*)))|(?P<star>\*)|(?P<one>\?)"
    r"|\{(?P<name>[a-z_][a-z0-9_]*)\}"
)


Captures = dict[str, str]


@functools.lru_cache(maxsize=1_000)
def pattern(glob: str) -> re.Pattern[str]:
    """Return the regular expression of a route's pattern."""
    parts, at = [], 0
    for found in _GLOB.finditer(glob):
        parts += [re.escape(glob[at : found.start()]), _expression(found)]
        at = found.end()
    return re.compile("".join([*parts, re.escape(glob[at:])]), re.DOTALL)


def _expression(found: re.Match[str]) -> str:
    if found["any"]:
        return "(?:.*/)?" if found["any"].endswith("/") else ".*"
    if found["chunk"]:
        # Between two stars the first place where the text stands is as good as any other; not
        # going back from it keeps a pattern of many stars from taking for ever.
        return f"(?>[^/]*?{re.escape(found['text'])})"
    if found["star"]:
        return "[^/]*"
    return "[^/]" if found["one"] else f"(?P<{found['name']}>[^/]+)"


def literal_beginning(glob_or_template: str) -> str:
    """Return what every path that matches, or is rendered, begins with."""
    return re.split(r"[*?{]", glob_or_template, maxsplit=1)[0]


def names_in(glob: str) -> list[str]:
    """Return the `{name}`s of a pattern in their order.

    Raises:
        ValueError: a brace is no part of a `{name}`.
    """
    if re.search(r"[{}]", _GLOB.sub("", glob)):
        raise ValueError("has a brace that is not {name}: lower-case letters, digits and `_`")
    return [found["name"] for found in _GLOB.finditer(glob) if found["name"]]


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
