"""What one host knows of the folders that it saw files land in."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from scoring.filling import TOUCHES
from scoring.job import Folder
from scoring.ports import FolderMark, Folders

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
