"""Paths of events in which characters were lost: their URLs tell which.

Subjects have been seen with characters outside the BMP replaced. The URL then has them; but it may
hold a bare `#` or `?`, and where its path ends nobody says. So each way to read it is held against
the subject, which is right in all other characters.
"""

from collections.abc import Iterator
from urllib.parse import unquote

LOST = "\ufffd"


def restored(path: str, url: object, roots: tuple[str, ...]) -> str | None:
    """Return the path that a URL names and that is `path` but for lost characters; None: none is.

    `roots` are what may stand between its host and the path.
    """
    if not isinstance(url, str):
        return None
    below_host = url.partition("://")[2].partition("/")[2]
    for reading in _readings(below_host):
        for root in roots:
            found = reading.removeprefix(root)
            if found != reading and _fits(found, path):
                return found
    return None


def _readings(text: str) -> Iterator[str]:
    """Yield what the rest of a URL may be: up to its query or fragment, or whole; escaped or not."""
    without_fragment = text.partition("#")[0]
    for path in dict.fromkeys([without_fragment.partition("?")[0], without_fragment, text]):
        try:
            yield unquote(path, errors="strict")
        except UnicodeDecodeError:
            continue
    yield text


def _fits(found: str, path: str) -> bool:
    """Tell whether a path is `found` with characters lost; ASCII is never lost.

    One that was lost left one mark, one outside the BMP perhaps two: each of its halves one.
    """
    places: dict[str, int] = {LOST: 0}  # of each character of `path`, as bits
    for at, char in enumerate(path):
        places[char] = places.get(char, 0) | 1 << at
    lost = places[LOST]
    ends = 1  # where in `path` the characters of `found` so far may end, as bits
    for char in found:
        one = ends & (places.get(char, 0) | (0 if char.isascii() else lost))
        two = ends & lost & lost >> 1 if char > "\uffff" else 0
        ends = one << 1 | two << 2
    return bool(ends >> len(path) & 1)
