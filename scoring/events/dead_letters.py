"""Messages that were delivered without success, as the ledger keeps them."""

import enum

import msgspec

from scoring.timing import Aware


class DeadLetterKind(enum.StrEnum):
    """Where the ledger keeps messages that on_landing gave up."""

    QUARANTINE = "quarantine"
    """They cannot be understood."""
    STUCK = "stuck"
    """They can, and a service failed."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the ledger keeps, but for its bytes."""

    shelf: DeadLetterKind
    digest: str  # of the bytes
    since: Aware  # the storage's time of the entry's creation, whatever changes later
    reason: str
    size: int  # bytes
    announced: bool
    version: str  # the entry's ETag, which the next change must name

    @property
    def entry(self) -> str:
        """The entry's name in the ledger."""
        return f"{self.shelf}/{self.digest}"
