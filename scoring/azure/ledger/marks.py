"""What one run leaves for the next, as blobs of the ledger's container.

control/poll, control/sweep-<route>   the marks of poll and of each sweep
control/<name>                        what else the app keeps, as the workspace's last answers
"""

from typing import TypeVar

import msgspec
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob.aio import ContainerClient

from scoring.azure.ledger.blobs import ledger_errors, only_if
from scoring.jobs.landing import normal_etag
from scoring.jobs.marks import PollMark, SweepMark

_CONTROL = "control/"
_POLL_MARK = "poll"
_SWEEP_MARK = "sweep-"

Mark = TypeVar("Mark", PollMark, SweepMark)


class BlobMarks:
    """A `ports.Marks` on Azure Blob Storage, and a `workspace.Memory`."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def poll_mark(self) -> PollMark:
        """Read control/poll."""
        return await self._mark(_POLL_MARK, PollMark())

    async def leave_poll_mark(self, mark: PollMark) -> None:
        """Write control/poll."""
        await self._leave(_POLL_MARK, mark)

    async def sweep_mark(self, route: str) -> SweepMark:
        """Read control/sweep-<route>."""
        return await self._mark(_SWEEP_MARK + route, SweepMark())

    async def leave_sweep_mark(self, route: str, mark: SweepMark) -> None:
        """Write control/sweep-<route>."""
        await self._leave(_SWEEP_MARK + route, mark)

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Read control/; return the body and its version, None each if there is none."""
        with ledger_errors():
            try:
                download = await self._container.get_blob_client(_CONTROL + name).download_blob()
                return await download.readall(), normal_etag(download.properties.etag)
            except ResourceNotFoundError:
                return None, None

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Write control/ unless another host did since `version` was read; return the version now."""
        condition = {"overwrite": version is not None, **(only_if(version) if version else {})}
        with ledger_errors():
            try:
                blob = self._container.get_blob_client(_CONTROL + name)
                answer = await blob.upload_blob(body, **condition)
            except (ResourceExistsError, ResourceModifiedError):
                return (await self.recall(name))[1]
        return normal_etag(answer["etag"])

    async def _mark(self, name: str, none_yet: Mark) -> Mark:
        body, version = await self.recall(name)
        mark = msgspec.json.decode(body, type=type(none_yet)) if body else none_yet
        return msgspec.structs.replace(mark, version=version)

    async def _leave(self, name: str, mark: PollMark | SweepMark) -> None:
        body = msgspec.json.encode(msgspec.structs.replace(mark, version=None))
        await self.remember(name, body, mark.version)
