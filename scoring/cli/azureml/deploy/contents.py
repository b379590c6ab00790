"""The content of a file or folder to upload: its files, and a digest over all of them."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pathspec

from scoring.cli.failures import UsageError

CHUNK = 1024 * 1024  # bytes that are read, or sent, at a time

_IGNORE_FILES = (".amlignore", ".gitignore")
"""In the root of the folder; the first that exists counts, as for the Azure ML CLI."""


@dataclass(frozen=True, kw_only=True)
class File:
    """One file to upload."""

    source: Path
    path: str  # relative to the folder, with `/`; empty: the file itself is uploaded
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Content:
    """A file, or a folder with its files."""

    name: str
    digest: str  # SHA-256 over the paths and contents of all files, in hexadecimal
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def is_file(self) -> bool:
        """Whether it is a single file."""
        return not self.files[0].path


def content_of(path: Path) -> Content:
    """Read a file or folder, chunk by chunk.

    As for the Azure ML CLI, `.amlignore` in the folder's root, or else `.gitignore`, says what is
    left out. Links are followed, and hidden files are included.

    Raises:
        UsageError: it cannot be read, or has no files.
    """
    try:
        path = path.resolve(strict=True)
        found = sorted(_files_in(path)) if path.is_dir() else [("", path)]
        files = tuple(_read(name, source) for name, source in found)
    except OSError as failure:
        raise UsageError(f"{failure.filename or path}: {failure.strerror}") from None
    if not files:
        raise UsageError(
            f"{path}: this folder has no files, or its ignore file excludes all of them"
        )
    return Content(name=path.name, digest=_digest(path, files), files=files)


def _digest(path: Path, files: Iterable[File]) -> str:
    digest = hashlib.sha256()
    for file in files:
        # The name of a single file counts, because its extension may be its type.
        name = (file.path or path.name).encode()
        digest.update(f"{len(name)}:".encode() + name + bytes.fromhex(file.sha256))
    return digest.hexdigest()


def _read(name: str, source: Path) -> File:
    for text in (name, source.name):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{source!r}: a blob cannot have this name: it is not UTF-8") from None
    if "\\" in name:
        raise UsageError(f"{source}: a blob cannot have a backslash in its name")
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
                raise UsageError(f"{source}: a link to a folder that contains it")
            yield from _walk(source, f"{name}/", (*above, real))


def _ignored_by(folder: Path) -> pathspec.GitIgnoreSpec:
    file = next((folder / name for name in _IGNORE_FILES if (folder / name).is_file()), None)
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file else []
    except UnicodeDecodeError as mistake:
        raise UsageError(f"{file}: it is not UTF-8: {mistake.reason}") from None
    return pathspec.GitIgnoreSpec.from_lines(lines)
