"""Messages that on_landing gave up, as blobs in the ledger's container.

quarantine/<digest>    body: a message as it arrived; metadata: why it is kept, and `announced`
stuck/<digest>         the same, but for `announced`
"""

import contextlib
from urllib.parse import quote, unquote

from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from scoring.azure.ledger.blobs import delete, ledger_errors, listed, only_if, properties, read
from scoring.errors import Unavailable
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.jobs.landing import normal_etag

_TRIES = 3  # to keep what disappears whenever we look at it
_READABLE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"  # stays as it is in metadata, which are ASCII


class BlobMessages:
    """A `ports.Messages` on Azure Blob Storage."""

    def __init__(self, container: ContainerClient) -> None:
        self._container = container

    async def keep(
        self, shelf: DeadLetterKind, digest: str, message: bytes, reason: str
    ) -> DeadLetter:
        """Create quarantine/ or stuck/."""
        blob = self._container.get_blob_client(f"{shelf}/{digest}")
        metadata = {"reason": quote(reason, safe=_READABLE)}
        with ledger_errors():
            for _ in range(_TRIES):
                with contextlib.suppress(ResourceExistsError, ResourceModifiedError):
                    await blob.upload_blob(message, overwrite=False, metadata=metadata)
                # Read back in any case: an answer to a creation does not tell its time.
                stands = await properties(blob)
                if stands is not None:
                    return _kept(stands)
        raise Unavailable(f"the ledger: entry {shelf}/{digest} came and went {_TRIES} times")

    async def kept(self, shelf: DeadLetterKind) -> list[DeadLetter]:
        """List quarantine/ or stuck/."""
        _, entries = await listed(self._container, f"{shelf}/")
        return [_kept(found) for found in entries]

    async def message(self, kept: DeadLetter) -> bytes | None:
        """Read the body of quarantine/ or stuck/."""
        return await read(self._container.get_blob_client(kept.entry))

    async def mark_announced(self, kept: DeadLetter) -> None:
        """Change the metadata of quarantine/."""
        metadata = {"reason": quote(kept.reason, safe=_READABLE), "announced": "yes"}
        blob = self._container.get_blob_client(kept.entry)
        with ledger_errors(), contextlib.suppress(ResourceModifiedError, ResourceNotFoundError):
            await blob.set_blob_metadata(metadata, **only_if(kept.version))

    async def drop(self, kept: DeadLetter) -> None:
        """Delete stuck/."""
        await delete(self._container.get_blob_client(kept.entry), kept.version)


def _kept(found: BlobProperties) -> DeadLetter:
    shelf, _, digest = found.name.partition("/")
    metadata = found.metadata or {}
    return DeadLetter(
        shelf=DeadLetterKind(shelf),
        digest=digest,
        since=found.creation_time,
        reason=unquote(metadata.get("reason") or ""),  # a listing tells an empty one as None
        size=found.size,
        announced="announced" in metadata,
        version=normal_etag(found.etag),
    )
