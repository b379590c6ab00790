"""Folders that get a job once nothing has landed in them for a while.

A host need not touch a mark that it touched a tenth of `quiet` ago: a folder cannot be quiet
before the rest has passed. That does not hold for one whose time is over (`at_most`), so its mark
stays until it is quiet.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from scoring.jobs.blobs import Blob, folder_digest
from scoring.jobs.job import Folder, Job, job_of_folder
from scoring.jobs.landing import Landing
from scoring.timing import Aware
from scoring.uris import Escaping

TOUCHES = 10  # at most so many of a host while a folder could become quiet


class FolderMark(msgspec.Struct, frozen=True, kw_only=True):
    """The entry of a folder that is being filled, as it stands."""

    key: str
    version: str
    changed: Aware  # the entry's Last-Modified: when a host last saw a file land
    since: Aware  # from when `at_most` counts
    quiet: timedelta  # of the route
    at_most: timedelta


class Filling(msgspec.Struct, frozen=True, kw_only=True):
    """All folders that are being filled, as one listing showed them."""

    now: Aware  # the storage's time when the listing began
    marks: list[FolderMark]


class Cooldown(msgspec.Struct, frozen=True, kw_only=True):
    """The last submission of a folder."""

    tag: str  # of the attempt
    taken: Aware
    version: str


class Due(enum.Enum):
    """Why a folder gets its job."""

    QUIET = enum.auto()
    AT_MOST = enum.auto()


def may_be_due(mark: FolderMark, now: datetime) -> bool:
    """Tell whether a folder is worth a listing."""
    return now - mark.changed >= mark.quiet or _is_over(mark, now)


def due_because(mark: FolderMark, files: Sequence[Blob], now: datetime) -> Due | None:
    """Return why the folder gets its job now, or None if it does not."""
    if any(file.copying for file in files):
        return None
    last = max([mark.changed, *(file.modified for file in files)])
    if now - last >= mark.quiet:
        return Due.QUIET
    return Due.AT_MOST if _is_over(mark, now) else None


def _is_over(mark: FolderMark, now: datetime) -> bool:
    return now - mark.since >= mark.at_most


def gathered(
    folder: Folder,
    files: Sequence[Blob],
    escaping: Escaping,
    *,
    emptied: datetime,
    late: bool = False,
) -> Job:
    """Return the job of a folder with these files; without any they were gone at `emptied`."""
    landing = Landing(
        account=folder.place.account,
        container=folder.place.container,
        path=folder.path,
        etag=folder_digest(files),
        size=sum(file.size for file in files),
        landed=max((file.modified for file in files), default=emptied),
    )
    return job_of_folder(folder, landing, escaping, late=late)
