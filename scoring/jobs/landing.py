"""Landings, and the storage events that tell of them.

Shapes: "Azure Blob Storage as Event Grid source" in the Azure documentation, in Event Grid
schema and in CloudEvents 1.0. Unknown fields are ignored.
"""

import msgspec

from scoring.timing import Aware


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one blob that appeared."""

    account: str
    container: str
    path: str
    etag: str  # without quotes
    size: int  # bytes
    landed: Aware  # when the service says that it appeared


def normal_etag(etag: str) -> str:
    """Return an ETag as Landfall keeps it: without quotes. Services send both forms."""
    return etag.removeprefix("W/").strip('"')
