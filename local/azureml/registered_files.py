"""The files of registered codes and models, downloaded once per version."""

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
    """The downloaded files, in the folder `registered` of the run folder.

    It has a folder for each registration, which appears when the download is complete.
    """

    def __init__(self, folder: RunFolder, workspace: Workspace) -> None:
        self._folder = folder
        self._workspace = workspace
        self._path = folder.path / "registered"
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def clear(self) -> None:
        """Remove the files of an earlier process: its registrations no longer exist."""
        shutil.rmtree(self._path, ignore_errors=True)

    async def local(self, files: Files, *, decode_percent: bool) -> Path:
        """Return the local path of files, and download them if necessary.

        Raises:
            JobFailed: they do not exist.
        """
        if isinstance(files, Path):
            return files
        try:
            place = stored_place(files.uri, self._workspace, decode_percent=decode_percent)
        except ValueError as mistake:  # it was valid when it was registered
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
