"""How far poll and each route's sweep are: what one run leaves for the next."""

import msgspec

from scoring.timing import Aware


class PollMark(msgspec.Struct, frozen=True, kw_only=True):
    """What one tick of poll leaves for the next: a heartbeat and a place to go on from."""

    schema: int = 1
    heartbeat: Aware | None = None
    finished: Aware | None = None  # when the last pass that came to its end began
    began: Aware | None = None  # when the pass that is under way began
    cursor: str = ""  # the key up to which that pass came
    version: str | None = None  # of the mark as it was read; never written


class SweepMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far the sweep of one route is."""

    schema: int = 1
    watermark: Aware | None = None  # all that was written before it is known
    place: str = ""  # in the listing, from where the pass that is under way goes on
    oldest_left: Aware | None = None  # what is older than this, that pass leaves to no other
    # No pass has come to its end: the watermark is where the first sweep began.
    unswept: bool | msgspec.UnsetType = msgspec.UNSET
    version: str | None = None  # of the mark as it was read; never written
