"""Files and folders as they are uploaded: what belongs to them, and a digest of it all."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pathspec

from scoring.cli.failures import UsageError

CHUNK = 1024 * 1024  # bytes that are read, or sent, at once

_IGNORE_FILES = (".amlignore", ".gitignore")
"""In the folder's root; the first that is there counts, as for the Azure ML CLI."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of what is uploaded."""

    source: Path
    path: str  # below the name of what is uploaded, `/` between segments; empty: it is the file
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file, or a folder with the files that belong to it."""

    name: str
    digest: str  # SHA-256 over the paths and contents of all files, in hexadecimal
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def is_file(self) -> bool:
        """Whether it is a single file."""
        return not self.files[0].path


def content_of(path: Path) -> Content:
    """Read a file or folder, chunk by chunk.

    As for the Azure ML CLI, what `.amlignore` in a folder's root names is left out, or, where
    there is none, what `.gitignore` does; links are followed, and hidden files belong to it.

    Raises:
        UsageError: it cannot be read, or nothing is in it.
    """
    try:
        path = path.resolve(strict=True)
        found = sorted(_files_in(path)) if path.is_dir() else [("", path)]
        files = tuple(_read(name, source) for name, source in found)
    except OSError as failure:
        raise UsageError(f"{failure.filename or path}: {failure.strerror}") from None
    if not files:
        raise UsageError(f"{path}: no file is in this folder, or all are ignored by it")
    return Content(name=path.name, digest=_digest(path, files), files=files)


def _digest(path: Path, files: Iterable[File]) -> str:
    digest = hashlib.sha256()
    for file in files:
        # Of a single file the name counts: its extension may tell what it is.
        name = (file.path or path.name).encode()
        digest.update(f"{len(name)}:".encode() + name + bytes.fromhex(file.sha256))
    return digest.hexdigest()


def _read(name: str, source: Path) -> File:
    for said in (name, source.name):
        try:
            said.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{source!r}: its name is no UTF-8, so no blob can have it") from None
    if "\\" in name:
        raise UsageError(f"{source}: no blob can have a backslash in its name")
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return File(source=source, path=name, size=size, sha256=digest.hexdigest())


def _files_in(folder: Path) -> Iterator[tuple[str, Path]]:
    ignored = _ignored_by(folder)
    for name, source in _walk(folder, "", (folder,)):
        if not ignored.match_file(name):
            yield name, source


def _walk(folder: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            source, name = Path(entry.path), f"{prefix}{entry.name}"
            if not entry.is_dir():
                yield name, source
                continue
            real = source.resolve()
            if real in above:
                raise UsageError(f"{source}: a link to a folder in which it lies")
            yield from _walk(source, f"{name}/", (*above, real))


def _ignored_by(folder: Path) -> pathspec.GitIgnoreSpec:
    file = next((folder / name for name in _IGNORE_FILES if (folder / name).is_file()), None)
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
    except UnicodeDecodeError as mistake:
        raise UsageError(f"{file}: it is not UTF-8: {mistake.reason}") from None
    return pathspec.GitIgnoreSpec.from_lines(lines)
