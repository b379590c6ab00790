"""What a pattern means, as a backtracking regular expression: exact, and slow for some paths."""

import re

_GLOB = re.compile(
    r"(?P<any>\*\*/?)|(?P<chunk>\*(?P<text>[^*?{}/]+)(?=\*(?!\*)))|(?P<star>\*)|(?P<one>\?)"
    r"|\{(?P<name>[a-z_][a-z0-9_]*)\}"
)


def expression(glob: str) -> re.Pattern[str]:
    parts, at = [], 0
    for found in _GLOB.finditer(glob):
        parts += [re.escape(glob[at : found.start()]), _part(found)]
        at = found.end()
    return re.compile("".join([*parts, re.escape(glob[at:])]), re.DOTALL)


def _part(found: re.Match[str]) -> str:
    if found["any"]:
        return "(?:.*/)?" if found["any"].endswith("/") else ".*"
    if found["chunk"]:
        return f"(?>[^/]*?{re.escape(found['text'])})"
    if found["star"]:
        return "[^/]*"
    return "[^/]" if found["one"] else f"(?P<{found['name']}>[^/]+)"
