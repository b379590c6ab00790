"""Blobs, as listings and looks show them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from scoring.jobs.job import ContainerRef, digest
from scoring.jobs.landing import Landing
from scoring.timing import Aware


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a blob."""

    path: str
    etag: str  # without quotes
    size: int  # bytes
    modified: Aware
    block: bool = True  # a block blob; page and append blobs cannot be scored
    archived: bool = False
    copying: bool = False  # in the background: not all is there yet; only looks and folders tell
    metadata: dict[str, str] = {}

    @property
    def is_directory(self) -> bool:
        """Whether it only stands for a directory: listings and some tools show these as blobs."""
        metadata = {name.lower(): value.lower() for name, value in self.metadata.items()}
        marked = self.path.endswith("/") or metadata.get("hdi_isfolder") == "true"
        return self.size == 0 and marked

    def landing(self, place: ContainerRef, landed: datetime) -> Landing:
        """Return the landing of this version."""
        return Landing(
            account=place.account,
            container=place.container,
            path=self.path,
            etag=self.etag,
            size=self.size,
            landed=landed,
        )


class Forbidden(msgspec.Struct, frozen=True):
    """The app may not look there."""


class Unreadable(msgspec.Struct, frozen=True):
    """The storage refuses permanently to show it."""

    message: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a listing."""

    now: Aware  # the storage's time when it was made
    blobs: list[Blob]
    next: str  # the place where the next part begins; empty: this was the last


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What lies where a job's input should be, just before its submission."""

    trigger: Blob | Forbidden | Unreadable | None = (
        None  # the landed blob; for a folder its marker, if any
    )
    files: Sequence[Blob] | Forbidden = ()  # a folder's

    @property
    def blobs(self) -> list[Blob]:
        """All that could be looked at."""
        files = () if isinstance(self.files, Forbidden) else self.files
        return [one for one in (self.trigger, *files) if isinstance(one, Blob)]


def folder_digest(files: Sequence[Blob]) -> str:
    """Return what identifies the versions of a folder's files: a digest over paths and ETags."""
    return digest(*(part for file in files for part in (file.path, file.etag)))
