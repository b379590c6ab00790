"""The files of registered codes and models, downloaded once for each version."""

import asyncio
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from local.azureml import blobs
from local.azureml.blobs import JobFailed
from local.azureml.uris import stored_place
from local.azureml.workspace import Files, Workspace
from local.run_folder import RunFolder


class RegisteredFiles:
    """What has been downloaded, below `registered` in the run folder.

    Each registration has a folder of its own, which appears there when it is complete.
    """

    def __init__(self, folder: RunFolder, workspace: Workspace) -> None:
        self._folder = folder
        self._workspace = workspace
        self._path = folder.path / "registered"
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def clear(self) -> None:
        """Remove what an earlier process has left: its registrations are gone."""
        shutil.rmtree(self._path, ignore_errors=True)

    async def local(self, files: Files, *, decode_percent: bool) -> Path:
        """Return where files are on this machine.

        Raises:
            JobFailed: there are none.
        """
        if isinstance(files, Path):
            return files
        try:
            place = stored_place(files.uri, self._workspace, decode_percent=decode_percent)
        except ValueError as mistake:  # it was right when it was registered
            raise JobFailed(str(mistake)) from None
        if files.folder:
            place = replace(place, path=f"{place.path.rstrip('/')}/")
        complete = self._path / files.key
        async with self._locks[files.key]:
            if not complete.exists():
                partial = complete.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                async with blobs.opened(self._folder) as storage:
                    await storage.fetch_tree(place, partial)
                partial.rename(complete)
        return complete / blobs.file_name(place.path.rstrip("/"))
