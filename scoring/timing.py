"""How long Landfall waits for what."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

Aware = Annotated[datetime, msgspec.Meta(tz=True)]

_MINUTE = timedelta(minutes=1)


# Not scaled: they bound what services and hosts do, not what Landfall waits for.
_REAL = (
    "tick",
    "sweep",
    "retention",
    "look",
    "look_at_folder",
    "listing",
    "gather_deadline",
    "deadline",
    "cut",
)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The waits and patiences of one app.

    `scaled` shortens them all together for trying and testing, which keeps the relations that
    safety rests on: a POST starts and ends well before its claim is stale.
    """

    tick: timedelta = timedelta(seconds=15)
    """How often poll runs; no batch job is asked about more often."""
    ask_at_most: timedelta = _MINUTE
    """The longest wait between two questions about one batch job."""
    stale_claim: timedelta = 5 * _MINUTE
    """A job that has been submitting for longer is one whose outcome nobody knows."""
    post_starts_within: timedelta = timedelta(seconds=30)
    """A claim older than this is renewed before the POST."""
    post: timedelta = _MINUTE
    """How long a POST may take."""
    lookup_ages: tuple[timedelta, ...] = (timedelta(0), _MINUTE, 5 * _MINUTE, 15 * _MINUTE)
    """Ages of an unclear submission at which it is looked for; after the last it is lost."""
    held_look: timedelta = timedelta(hours=1)
    """How often it is looked for after the last of these where its route says `hold`."""
    retry_at_most: timedelta = 30 * _MINUTE
    """The longest wait between two POSTs that were refused with 401, 403 or 404."""
    refusal_patience: timedelta = timedelta(hours=24)
    """How long such refusals are borne: role assignments and endpoints take time to appear."""
    gone_patience: timedelta = timedelta(hours=1)
    """How long a batch job may be unknown to its endpoint before it counts as gone."""
    queue: timedelta = timedelta(hours=24)
    """How long a batch job may take until it runs, where its route does not say."""
    run: timedelta = timedelta(hours=24)
    """How long it may run, where its route does not say."""
    whole: timedelta = timedelta(days=22)
    """How long it may take in all; one of Azure ML lives for 21 days."""
    cancel_patience: timedelta = timedelta(hours=1)
    """How long its end is waited for once its cancel was asked for."""
    event_patience: timedelta = 5 * _MINUTE
    """A sweep leaves alone what is younger: its event is on the way."""
    empty_patience: timedelta = timedelta(hours=1)
    """A sweep leaves alone an empty file that is younger: its content may be on the way."""
    sweep_overlap: timedelta = 2 * _MINUTE
    """How far before the beginning of a sweep the next one begins."""
    sweep: timedelta = 10 * _MINUTE
    """How often the sweep runs."""
    retention: timedelta = timedelta(days=90)
    """How long the ledger remembers ended jobs; a sweep does not go back further."""
    output_settles: timedelta = timedelta(hours=1)
    """For how long an output must be unchanged to count as complete when no batch job is known."""
    look: timedelta = timedelta(seconds=10)
    """How long a look at one blob may take: a slow account must not use up a tick."""
    look_at_folder: timedelta = _MINUTE
    """How long a listing of one folder may take."""
    listing: timedelta = _MINUTE
    """How long poll's and the sweep's listing of open/ may take; what it has shown then counts."""
    gather_deadline: timedelta = _MINUTE
    """Poll cuts its look at folders after this, the sweep its look at dead letters."""
    deadline: timedelta = 3 * _MINUTE
    """Poll begins no further job after this, a sweep no further page."""
    cut: timedelta = timedelta(minutes=4, seconds=40)
    """Poll cuts what it has begun after this. A POST fits in between; the function timeout is 5 minutes."""

    def remembered_since(self, now: datetime) -> datetime:
        """Return from when on the ledger knows all that landed; what is older it may have forgotten."""
        return now - self.retention + timedelta(days=1)

    def scaled(self, pace: float) -> "Timing":
        """Return these waits multiplied by `pace`, but for those of poll and sweep themselves and the retention."""
        kept = {name: getattr(self, name) for name in _REAL}
        stretched = {
            name: tuple(one * pace for one in wait) if isinstance(wait, tuple) else wait * pace
            for name, wait in msgspec.structs.asdict(self).items()
        }
        return msgspec.structs.replace(self, **{**stretched, **kept})
