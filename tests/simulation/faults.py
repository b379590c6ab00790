"""What goes wrong, and how often: drawn from the run's seed, counted, and ended at some point."""

import random
from collections import Counter
from datetime import timedelta

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Table = tuple[tuple[str, float], ...]

_CALLS: Table = (
    ("fail", 0.010),
    ("lost", 0.008),
    ("repeat", 0.010),
    ("crash-before", 0.002),
    ("crash-after", 0.002),
    ("freeze-before", 0.002),
    ("freeze-after", 0.002),
)
_POSTS: Table = (
    ("throttled", 0.04),
    ("not-sent", 0.04),
    ("refused", 0.02),
    ("error-before", 0.04),
    ("error-after", 0.04),
    ("nameless", 0.02),
    ("twice", 0.02),
)
_BATCH_JOBS: Table = (
    ("fails", 0.08),
    ("stays-queued", 0.02),
    ("stays-running", 0.02),
    ("not-responding", 0.04),
    ("disappears", 0.02),
    ("leaves-endpoint", 0.02),
)
_EVENTS: Table = (("lost", 0.3), ("late", 0.2), ("twice", 0.10), ("twice-late", 0.05))
_CANCELS: Table = (("completes", 0.2), ("hangs", 0.2))
TABLES = {
    "call": _CALLS,
    "post": _POSTS,
    "job": _BATCH_JOBS,
    "event": _EVENTS,
    "cancel": _CANCELS,
}
"""What is drawn from a table, and how probable it is."""
WORST: dict[str, tuple[tuple[str, float, tuple[str | None, str | None]], ...]] = {
    "open_jobs": (("poll: stops after its listing", 0.04, (None, "stop")),),
    "job": (("poll: stops before it marks a job", 0.2, (None, "stop")),),
    "claim of a folder": (("gather: stops after its claim", 0.4, (None, "stop")),),
    "conclude of a command": (("host: stops before it writes an end", 0.8, ("stop", None)),),
    "deployment_problem": (("host: stops just before its POST", 0.15, (None, "freeze")),),
    "entry": (("host: stops after it saw another version's job", 0.5, (None, "stop")),),
    "keep": (("host: dies before it keeps a message", 0.05, ("crash", None)),),
    "page": (
        ("sweep: stops after a page", 0.4, (None, "stop")),
        ("sweep: dies before its first page", 0.05, ("crash", None)),
    ),
    "blob": (("host: stops after its last look at a blob", 0.08, (None, "freeze")),),
    "claim": (
        ("host: stops after a claim", 0.05, (None, "freeze")),
        ("claim: fails", 0.35, ("fail", None)),
    ),
}
"""What befalls some calls, before and after their effect, more often than others."""
_NOT_OF_POSTS = frozenset({"repeat", "freeze-before"})


_MIXED = ("timer", "listing", "outage", "event", "poll", "sweep", "host", "claim", "gather", "user")
_MIX = (0.0, 0.3, 1.0, 1.0, 3.0)


def _mixed(chance: random.Random, table: Table) -> Table:
    """Return a table with other probabilities: some things never, some often."""
    mixed = [(what, probability * chance.choice((*_MIX, 8.0))) for what, probability in table]
    total = sum(probability for _, probability in mixed)
    return (
        tuple((what, probability * min(1.0, 0.6 / total)) for what, probability in mixed)
        if total
        else ()
    )


class Faults:
    """Draws the faults of one run."""

    def __init__(self, chance: random.Random, *, races: bool) -> None:
        self._chance = chance
        self.counts: Counter[str] = Counter()
        self.over = False
        self.away: set[str] = set()  # services that do not answer at all
        # Each run has its own mix: rare coincidences need many faults of one kind and few others.
        self._tables = {about: _mixed(chance, table) for about, table in TABLES.items()}
        if races:
            # Little fails, but hosts stop where others can overtake them.
            self._tables |= {"call": (), "post": (), "event": (("late", 0.6),)}
        self._sums = {about: sum(p for _, p in table) for about, table in self._tables.items()}
        self._mix = {about: chance.choice((0.0, 1.0, 1.0) if races else _MIX) for about in _MIXED}
        self._slow_from = chance.choice((0.985, 0.985, 0.93))  # the slowest share of requests

    def happens(self, what: str, probability: float) -> bool:
        """Decide whether something happens, and count it."""
        often = self._mix.get(what.partition(":")[0], 1.0)
        if self.over or self._chance.random() >= probability * often:
            return False
        self.counts[what] += 1
        return True

    def of_call(self, method: str) -> tuple[str | None, str | None]:
        """Return what befalls a call before and after its effect."""
        fate = self._draw("call")
        for what, probability, befalls in WORST.get(method, ()):
            if self.happens(what, probability):
                return befalls
        if not fate or (method == "submit" and fate in _NOT_OF_POSTS):
            return None, None
        kind, _, moment = fate.partition("-")
        before = kind == "fail" or moment == "before"
        return (kind, None) if before else (None, kind)

    def of_post(self) -> str:
        return self._draw("post") or "taken"

    def of_batch_job(self) -> str:
        return self._draw("job") or "completes"

    def of_cancel(self) -> str:
        # What is canceled is what never ends: most of it when all else is over.
        return self._drawn("cancel") or "cancels"

    def lose_no_event(self) -> None:
        """Let every event come: in a run without sweeps nothing else is to be relied on."""
        self._tables["event"] = tuple(one for one in self._tables["event"] if one[0] != "lost")

    def of_event(self) -> str:
        return self._draw("event") or "comes"

    def writes_output(self) -> bool:
        return not self.happens("job: completes without output", 0.03)

    def listing_lag(self) -> float:
        """Return the seconds until a batch job is listed."""
        if self.happens("listing: leaves out for ever", 0.02):
            return float("inf")
        if self.happens("listing: lags", 0.2):
            return self._chance.uniform(0, 20 * MINUTE)
        return 0.0

    def entries_of_a_cut_listing(self) -> int:
        return self._chance.randrange(1, 4)

    def refusal(self) -> timedelta:
        """Return for how long the storage refuses to show a blob."""
        return self._chance.choice((timedelta(minutes=10), timedelta(hours=3), timedelta(hours=30)))

    def latency(self) -> float:
        """Return how long half a request takes, in seconds."""
        if self.over:
            return 0.0
        drawn = self._chance.random()
        if drawn < 0.85:
            return 0.0
        if drawn > self._slow_from:
            return self._chance.uniform(2, 40)
        return 2 * (drawn - 0.85)

    def hang(self) -> float:
        """Return how long a request takes that comes to nothing, in seconds."""
        return self._chance.choice((0.1, 1.0, 20.0))

    def freeze(self, fate: str) -> float:
        """Return for how long a host stands still, in seconds."""
        if fate == "stop":  # shorter than what a function gives itself
            return self._chance.choice((15.0, 30.0, 40.0, 50.0, 55.0, 120.0))
        return self._chance.choice((20.0, 3 * MINUTE, 7 * MINUTE, 24 * MINUTE, 90 * MINUTE))

    def _draw(self, about: str) -> str | None:
        return None if self.over else self._drawn(about)

    def _drawn(self, about: str) -> str | None:
        drawn = self._chance.random()
        if drawn >= self._sums[about]:
            return None
        for what, probability in self._tables[about]:
            drawn -= probability
            if drawn < 0:
                self.counts[f"{about}: {what}"] += 1
                return what
        return None
