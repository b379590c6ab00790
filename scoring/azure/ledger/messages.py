"""Messages that on_landing gave up, as blobs in the ledger's container.

quarantine/<digest>    body: a message as it arrived; metadata: why it is kept, and `announced`
stuck/<digest>         the same, but for `announced`
"""

from urllib.parse import quote, unquote

from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import ContainerClient

from scoring.azure.ledger.blobs import change, delete, listed, properties, put, read
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
        self, kind: DeadLetterKind, digest: str, message: bytes, reason: str
    ) -> DeadLetter:
        """Create quarantine/ or stuck/."""
        blob = self._container.get_blob_client(f"{kind}/{digest}")
        metadata = {"reason": quote(reason, safe=_READABLE)}
        for _ in range(_TRIES):
            await put(blob, message, metadata)
            # Read back in any case: an answer to a creation does not tell its time.
            current = await properties(blob)
            if current is not None:
                return _kept(current)
        raise Unavailable(f"the ledger: entry {kind}/{digest} came and went {_TRIES} times")

    async def kept(self, kind: DeadLetterKind) -> list[DeadLetter]:
        """List quarantine/ or stuck/."""
        _, entries = await listed(self._container, f"{kind}/")
        return [_kept(found) for found in entries]

    async def message(self, kept: DeadLetter) -> bytes | None:
        """Read the body of quarantine/ or stuck/."""
        found = await read(self._container.get_blob_client(kept.entry))
        return None if found is None else found[0]

    async def mark_announced(self, kept: DeadLetter) -> None:
        """Change the metadata of quarantine/."""
        metadata = {"reason": quote(kept.reason, safe=_READABLE), "announced": "yes"}
        await change(self._container.get_blob_client(kept.entry), metadata, kept.version)

    async def drop(self, kept: DeadLetter) -> None:
        """Delete stuck/."""
        await delete(self._container.get_blob_client(kept.entry), kept.version)


def _kept(found: BlobProperties) -> DeadLetter:
    kind, _, digest = found.name.partition("/")
    metadata = found.metadata or {}
    return DeadLetter(
        kind=DeadLetterKind(kind),
        digest=digest,
        since=found.creation_time,
        reason=unquote(metadata.get("reason") or ""),  # a listing tells an empty one as None
        size=found.size,
        announced="announced" in metadata,
        version=normal_etag(found.etag),
    )
