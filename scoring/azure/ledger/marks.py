"""What one run leaves for the next, as blobs of the ledger's container.

control/poll, control/sweep-<route>   the marks of poll and of each sweep
control/<name>                        what else the app keeps, as the workspace's last answers
"""

from datetime import datetime

import msgspec
from azure.storage.blob.aio import ContainerClient

from scoring.azure.ledger.blobs import put, read_at
from scoring.jobs.landing import normal_etag
from scoring.jobs.marks import PollMark, SweepMark

_CONTROL = "control/"
_POLL_MARK = "poll"
_SWEEP_MARK = "sweep-"


class BlobMarks:
    """A `ports.Marks` on Azure Blob Storage, and a `workspace.Memory`."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def poll_mark(self) -> PollMark:
        """Read control/poll."""
        body, version, _ = await self._read(_POLL_MARK)
        mark = msgspec.json.decode(body, type=PollMark) if body else PollMark()
        return msgspec.structs.replace(mark, version=version)

    async def leave_poll_mark(self, mark: PollMark) -> None:
        """Write control/poll."""
        await self._leave(_POLL_MARK, mark)

    async def sweep_mark(self, route: str) -> tuple[SweepMark, datetime]:
        """Read control/sweep-<route>."""
        body, version, now = await self._read(_SWEEP_MARK + route)
        mark = msgspec.json.decode(body, type=SweepMark) if body else SweepMark()
        return msgspec.structs.replace(mark, version=version), now

    async def leave_sweep_mark(self, route: str, mark: SweepMark) -> None:
        """Write control/sweep-<route>."""
        await self._leave(_SWEEP_MARK + route, mark)

    async def recall(self, name: str) -> tuple[bytes | None, str | None]:
        """Read control/; return the body and its version, None each if there is none."""
        body, version, _ = await self._read(name)
        return body, version

    async def remember(self, name: str, body: bytes, version: str | None) -> str | None:
        """Write control/ unless another host did since `version` was read; return the version now."""
        written = await put(self._container.get_blob_client(_CONTROL + name), body, version=version)
        return written.version if written else (await self.recall(name))[1]

    async def _read(self, name: str) -> tuple[bytes | None, str | None, datetime]:
        """Read control/; return the body, its version, and the storage's time."""
        found, now = await read_at(self._container.get_blob_client(_CONTROL + name))
        return (found[0], normal_etag(found[1].etag), now) if found else (None, None, now)

    async def _leave(self, name: str, mark: PollMark | SweepMark) -> None:
        body = msgspec.json.encode(msgspec.structs.replace(mark, version=None))
        await self.remember(name, body, mark.version)
