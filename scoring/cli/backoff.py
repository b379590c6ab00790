"""How long to wait between two tries of a request, or two looks at something that is running."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Waits that grow up to a limit; all in seconds."""

    first: float
    longest: float
    factor: float = 2.0

    def waits(self) -> Iterator[float]:
        """Yield one wait after the other, without end."""
        wait = self.first
        while True:
            yield wait
            wait = min(wait * self.factor, self.longest)


RETRIES = Backoff(first=0.5, longest=15.0)
"""Between tries of a request that had no usable answer, or met another operation."""

OPERATIONS = Backoff(first=0.2, longest=15.0)
"""Between looks at a long-running operation of Azure Resource Manager."""

BATCH_JOBS = Backoff(first=2.0, longest=30.0, factor=1.5)
"""Between looks at a batch job."""
