"""Whether a path matches a pattern, and what its `{name}`s stand for.

A pattern becomes steps. Matching tries them in the order in which a regular expression would, so
that each `{name}` stands for the same, but no step twice at one place of the path: it takes at most
as long as the path times the pattern.
"""

import enum
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

_GLOB = re.compile(r"(?P<any>\*\*/?)|(?P<star>\*)|(?P<one>\?)|\{(?P<name>[a-z_][a-z0-9_]*)\}")


Captures = dict[str, str]


class _Kind(enum.Enum):
    TEXT = enum.auto()
    """This text."""
    ONE = enum.auto()
    """One character but a slash."""
    STAR = enum.auto()
    """As many of them as possible."""
    ALL = enum.auto()
    """As many characters as possible, slashes too."""
    MAYBE = enum.auto()
    """The next two steps, or none of them."""
    MARK = enum.auto()
    """Nothing: a `{name}` begins or ends here."""


_TEXT, _ONE, _STAR, _ALL, _MAYBE, _MARK = _Kind


class _Step(NamedTuple):
    kind: _Kind
    text: str = ""


class _Program(NamedTuple):
    steps: tuple[_Step, ...]
    names: tuple[str, ...]


class _Mark(NamedTuple):
    at: int
    before: "_Mark | None"


_Place = tuple[int, int, _Mark | None]  # number of a step, place in the path, the last mark


def captures(glob: str, path: str) -> Captures | None:
    """Return what each `{name}` stands for if a path matches a pattern; None: it does not."""
    steps, names = _program(glob)
    tried: set[tuple[int, int]] = set()
    to_try: list[_Place] = [(0, 0, None)]
    while to_try:
        number, at, mark = to_try.pop()
        if (number, at) in tried:
            continue
        tried.add((number, at))
        if number < len(steps):
            to_try += _ways(steps[number], number, path, at, mark)
        elif at == len(path):
            return _captured(names, mark, path)
    return None


def _ways(step: _Step, number: int, path: str, at: int, mark: _Mark | None) -> tuple[_Place, ...]:
    """Return where matching may go on; what is to be tried first comes last."""
    kind, on = step.kind, number + 1
    if kind is _TEXT:
        found = path.startswith(step.text, at)
        return ((on, at + len(step.text), mark),) if found else ()
    if kind is _MARK:
        return ((on, at, _Mark(at, mark)),)
    if kind is _MAYBE:
        return (on + 2, at, mark), (on, at, mark)
    more = at < len(path) and (kind is _ALL or path[at] != "/")
    if kind is _ONE:
        return ((on, at + 1, mark),) if more else ()
    return ((on, at, mark), (number, at + 1, mark)) if more else ((on, at, mark),)


def _captured(names: tuple[str, ...], mark: _Mark | None, path: str) -> Captures:
    places: list[int] = []
    while mark is not None:
        places.append(mark.at)
        mark = mark.before
    places.reverse()
    return {
        name: path[begin:end]
        for name, begin, end in zip(names, places[::2], places[1::2], strict=True)
    }


@functools.lru_cache(maxsize=1_000)
def _program(glob: str) -> _Program:
    steps: list[_Step] = []
    names: list[str] = []
    at = 0
    for found in _GLOB.finditer(glob):
        steps += [*_text(glob[at : found.start()]), *_steps(found)]
        names += [found["name"]] if found["name"] else []
        at = found.end()
    return _Program(steps=(*steps, *_text(glob[at:])), names=tuple(names))


def _text(text: str) -> Iterator[_Step]:
    if text:
        yield _Step(_TEXT, text)


def _steps(found: re.Match[str]) -> list[_Step]:
    if found["any"]:
        folders = [_Step(_MAYBE), _Step(_ALL), _Step(_TEXT, "/")]
        return folders if found["any"].endswith("/") else [_Step(_ALL)]
    if found["star"]:
        return [_Step(_STAR)]
    if found["one"]:
        return [_Step(_ONE)]
    return [_Step(_MARK), _Step(_ONE), _Step(_STAR), _Step(_MARK)]


def names_in(glob: str) -> list[str]:
    """Return the `{name}`s of a pattern in their order.

    Raises:
        ValueError: a brace is no part of a `{name}`.
    """
    if re.search(r"[{}]", _GLOB.sub("", glob)):
        raise ValueError("has a brace that is not {name}: lower-case letters, digits and `_`")
    return [found["name"] for found in _GLOB.finditer(glob) if found["name"]]
