"""What azd and func take of a folder, each by its own reading of .funcignore."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from pathspec import GitIgnoreSpec

# What the tools leave out whatever the file says.
_NEVER = frozenset({".funcignore", ".gitignore", "local.settings.json"})


def taken_by_azd(lines: list[str], paths: Iterable[str]) -> set[str]:
    """As git: the last line that fits decides, and what lies in a folder that is out stays out."""
    spec = GitIgnoreSpec.from_lines(lines)

    def out(path: str) -> bool:
        folders = [f"{folder}/" for folder in PurePosixPath(path).parents if folder.name]
        return any(spec.check_file(place).include for place in (*folders, path))

    return {path for path in paths if path not in _NEVER and not out(path)}


def taken_by_func(lines: list[str], paths: Iterable[str]) -> set[str]:
    """Lines with `!` win wherever they stand, and a line fits whatever begins like it."""
    said = [line for line in lines if line and not line.startswith("#")]
    back = [_beginning(line[1:]) for line in said if line.startswith("!")]
    out = [_beginning(line) for line in said if not line.startswith("!")]

    def fits(patterns: list[re.Pattern[str]], path: str) -> bool:
        return any(pattern.match(path) for pattern in patterns)

    return {
        path for path in paths if path not in _NEVER and (fits(back, path) or not fits(out, path))
    }


def _beginning(line: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, line.removeprefix("/").split("*"))))
