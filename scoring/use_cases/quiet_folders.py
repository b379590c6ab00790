"""Folders that become quiet: touching their marks, and claiming their jobs. jobs/folders.py has the rules.

    landing ──► touch the mark ┄┄ quiet ┄┄► list the folder ──► claim its job ──► delete the mark,
                     ▲                          │                                  if untouched
                     └── a file lands ──────────┴── a file is younger: wait

A file that lands later touches the mark, so it cannot be deleted, and the folder is listed again.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from scoring.concurrency import for_each_then_raise
from scoring.errors import SetupError
from scoring.events.completion import version_in
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.folders import TOUCHES, Due, FolderMark, due_because, gathered, may_be_due
from scoring.jobs.job import Folder
from scoring.log import Action, describe, warning
from scoring.ports import Folders, Services
from scoring.use_cases.folder_versions import job_of_files
from scoring.use_cases.submit import Started, start


async def gather(services: Services) -> None:
    """Give each folder that is due its job, as far as there is time; the next tick does the rest.

    One folder's error is logged and does not stop the others.

    Raises:
        Unavailable, SetupError: the ledger cannot be reached, or refuses.
    """
    due: list[FolderMark] | None = None
    try:
        async with asyncio.timeout(services.timing.gather_deadline.total_seconds()):
            filling = await services.folders.filling()
            due = [mark for mark in filling.marks if may_be_due(mark, filling.now)]
            await for_each_then_raise(partial(_try, services, now=filling.now), due)
    except TimeoutError:
        warning(Action.POLL_CUT, folders=None if due is None else len(due))


async def _try(services: Services, mark: FolderMark, *, now: datetime) -> None:
    """Look at a folder; its error does not stop the others."""
    try:
        await _look(services, mark, now)
    except Exception as failure:  # noqa: BLE001
        warning(Action.JOB_ERROR, folder=mark.key, state="filling", error=describe(failure))


async def _look(services: Services, mark: FolderMark, now: datetime) -> None:
    # The mark was listed before the folder is: what lands in between touches it.
    folder = await services.folders.folder(mark.key)
    if folder is None:
        return  # another poll was faster
    files = await _list(services, folder)
    reason = due_because(mark, files, now)
    if reason is None:
        return
    settled = await _claim(services, folder, files, mark.changed)
    if settled and reason is Due.QUIET:
        await services.folders.drop_mark(mark)
    else:
        await services.folders.count_anew(mark, now)


async def _claim(services: Services, folder: Folder, files: list[Blob], emptied: datetime) -> bool:
    """Claim the job of a folder; tell whether nothing is left to do for these files."""
    job = gathered(folder, files, services.escaping, emptied=emptied)
    if folder.route.late == "score":
        # Known or not is decided by the claim; this look finds what was superseded.
        job, ended = await job_of_files(services.ledger, job)
        return ended or await start(services, job, later=True) is not Started.ENDED
    if await start(services, job, later=True) is Started.CLAIMED:
        return True
    end = await services.ledger.end(job.key)
    if end is None:
        return False  # what it will have scored is known at its end
    # Only what is listed after that end has changed since the submission for certain.
    files = await _list(services, folder)
    late = gathered(folder, files, services.escaping, emptied=emptied, late=True)
    if version_in(end) != late.landing.etag:
        await start(services, late, later=True)
    return True


async def _list(services: Services, folder: Folder) -> list[Blob]:
    files = await services.storage.folder(folder.place, folder.path)
    if isinstance(files, Forbidden):
        raise SetupError(f"the app may not list folder {folder.path}")
    return files


_MOST = 10_000  # folders that are remembered


class _Touch(NamedTuple):
    began: float  # of the clock
    mark: "asyncio.Task[FolderMark]"


class Touches:
    """Touches the marks of folders, a `ports.Touches`; one host has one."""

    def __init__(self, folders: Folders, clock: Callable[[], float]) -> None:
        self._folders = folders
        self._clock = clock
        self._last: dict[str, _Touch] = {}

    async def touch(self, folder: Folder) -> None:
        """Write down that a file landed in a folder, unless this host just did."""
        last, now = self._last.get(folder.key), self._clock()
        if last is None or now - last.began >= folder.ready.quiet.total_seconds() / TOUCHES:
            if len(self._last) >= _MOST:
                self._last.clear()
            last = _Touch(now, asyncio.ensure_future(self._write(folder, last)))
            self._last[folder.key] = last
        try:
            await asyncio.shield(last.mark)
        except Exception:
            if self._last.get(folder.key) is last:
                del self._last[folder.key]
            raise

    async def _write(self, folder: Folder, last: _Touch | None) -> FolderMark:
        known: FolderMark | None = None
        if last is not None:
            with contextlib.suppress(Exception):
                known = await last.mark
        return await self._folders.touch(folder, known)
