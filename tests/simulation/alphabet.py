"""Everything that may happen in a run: what has to have happened in a thousand of them."""

from collections import Counter

from tests.simulation.faults import TABLES, WORST
from tests.simulation.spellings import SPELLINGS

COMMANDS = ("adopt", "cancel", "declare lost", "release", "replay: again", "replay: claimed")
SERVICES = ("ledger", "storage", "workspace", "endpoints", "publisher")

ALPHABET = frozenset(
    {
        *(f"{about}: {what}" for about, table in TABLES.items() for what, _ in table),
        *(what for table in WORST.values() for what, _, _ in table),
        *(f"edge: {letter}" for letter in "abcefgh"),
        *(f"outage: {service}" for service in SERVICES),
        *(f"timer: {name} {how}" for name in ("poll", "sweep") for how in ("is missed", "twice at once")),
        *(f"blob: {what}" for what in ("landed", "overwritten", "copied", "deleted", "renamed", "metadata edited")),
        *(f"blob: {what}" for what in ("empty at first", "refused permanently", "refused for a while")),
        *(f"command: {what}" for what in COMMANDS),
        *(f"event: spelled otherwise: {how}" for how in SPELLINGS),
        "event: spelled otherwise",
        "event: malformed beside it",
        "blob: only stands for a directory",
        "host: newer version",
        "job: completes without output",
        "listing: lags",
        "blob: its directory renamed",
        "user: takes a folder back",
        "user: changes what was just looked at",
        "listing: leaves out for ever",
        "listing: refused for good",
        "poll: its listing is cut",
        "sweep: the first one comes to nothing",
        "workspace: a deployment that cannot run",
        "message: malformed",
        "queue: comes back unanswered",
        "queue: poison",
        "routes: changed",
        "routes: removed",
    }
)  # fmt: skip


def never_happened(counts: Counter[str]) -> list[str]:
    """Return what should have happened and did not."""
    return sorted(ALPHABET - {what for what, count in counts.items() if count})
