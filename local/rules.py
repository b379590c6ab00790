"""Rules for what comes next: faults, and plans for batch jobs and long operations.

Each rule names what it matches, and applies to the next `times` of these.
"""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

S = TypeVar("S")


class Rule(msgspec.Struct, Generic[S], kw_only=True, forbid_unknown_fields=True):
    """A rule for a kind of subject: a request, a batch job, an operation."""

    times: int | None = 1  # how many subjects it applies to; -1 or null: all
    skip: int = 0  # how many matching subjects pass before it begins

    def matches(self, subject: S) -> bool:
        """Tell whether the rule is for this subject, whatever its counts are."""
        raise NotImplementedError

    def applies(self, subject: S) -> bool:
        """Tell whether the rule applies to this subject, and count it."""
        if self.times == 0 or not self.matches(subject):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.times > 0:
            self.times -= 1
        return True


R = TypeVar("R", bound=Rule[Any])


def first_applying(rules: Iterable[R], subject: Any) -> R | None:
    """Return the first rule that applies to a subject, and count the subject."""
    return next((rule for rule in rules if rule.applies(subject)), None)
