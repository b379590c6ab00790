"""The zip that is deployed: what is listed here, and nothing else. `make package` runs it.

It lies beside the templates, for the two together are a deployment. `.funcignore` says the same to
azd and func, which make zips of their own.
"""

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

FILES = ("function_app.py", "host.json", "requirements.txt", "routes.toml")
FOLDERS = (
    "scoring",
    "scoring/routes",
    "scoring/jobs",
    "scoring/events",
    "scoring/use_cases",
    "scoring/azure",
    "scoring/azure/ledger",
)

_MODULE = re.compile(r"(__init__|[a-z][a-z0-9_]+)\.py")
_COMMANDS = frozenset({"scoring/__main__.py", "scoring/cli"})
_CACHE = "__pycache__"
_TIME = (1980, 1, 1, 0, 0, 0)  # the zip format knows no earlier one
_UNIX, _READABLE_FILE = 3, 0o100644 << 16


class NotTheAppError(Exception):
    """Something lies in the app that is no part of it, or a part is missing."""


def contents(root: Path) -> list[Path]:
    """Return what is deployed of a project, in the order of the zip.

    Raises:
        NotTheAppError: `scoring/` holds something that is not listed here, or a file is missing.
    """
    modules = [module for folder in FOLDERS for module in _modules(root, folder)]
    found = [*(root / name for name in FILES), *modules]
    missing = [path.name for path in found if not path.is_file()]
    if missing:
        raise NotTheAppError(f"not there: {', '.join(missing)}")
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _modules(root: Path, folder: str) -> Iterator[Path]:
    for path in (root / folder).iterdir():
        name = path.relative_to(root).as_posix()
        if path.name == _CACHE or name in (*FOLDERS, *_COMMANDS):
            continue
        if path.is_symlink() or not path.is_file() or not _MODULE.fullmatch(path.name):
            raise NotTheAppError(
                f"{path} is no module of the app: move it, or name it in infra/package.py"
            )
        yield path


def build(root: Path, target: Path) -> list[zipfile.ZipInfo]:
    """Write the zip and return its list.

    The same files give the same bytes on every machine: times, modes and order are fixed, and nothing
    is compressed, since what that gives depends on the version of zlib.

    Raises:
        NotTheAppError: see `contents`.
    """
    found = contents(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as made:
        for path in found:
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _TIME)
            entry.create_system, entry.external_attr = _UNIX, _READABLE_FILE
            made.writestr(entry, path.read_bytes())
        return made.infolist()


def main(root: Path, target: Path) -> None:
    """Write the zip, and say what is in it."""
    for entry in build(root, target):
        print(f"{entry.file_size:>7,}  {entry.filename}")
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    print(f"{target}: {target.stat().st_size:,} bytes, sha256 {digest}")


if __name__ == "__main__":
    try:
        main(Path(__file__).parent.parent, Path(sys.argv[1]))
    except NotTheAppError as why:
        sys.exit(str(why))
