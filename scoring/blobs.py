"""Blobs, as listings and looks show them."""

from datetime import datetime

import msgspec

from scoring.job import Place
from scoring.landing import Aware, Landing


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a blob."""

    path: str
    etag: str  # without quotes
    size: int  # bytes
    modified: Aware
    block: bool = True  # a block blob; page and append blobs cannot be scored
    archived: bool = False
    copying: bool = False  # in the background: not all is there yet; only looks and folders tell
    metadata: dict[str, str] = {}

    def landing(self, place: Place, landed: datetime) -> Landing:
        """Return the landing of this version."""
        return Landing(
            account=place.account,
            container=place.container,
            path=self.path,
            etag=self.etag,
            size=self.size,
            landed=landed,
        )


class Forbidden(msgspec.Struct, frozen=True):
    """The app may not look there."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a listing."""

    now: Aware  # the storage's time when it was made
    blobs: list[Blob]
    next: str  # the place where the next part begins; empty: this was the last
