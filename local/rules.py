"""Rules for the next requests, batch jobs or long operations: what faults and plans share."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

S = TypeVar("S")


class Rule(msgspec.Struct, Generic[S], kw_only=True, forbid_unknown_fields=True):
    """A rule for the next `times` subjects that match: requests, jobs or operations."""

    times: int | None = 1  # how many subjects it applies to; -1 or null: all
    skip: int = 0  # how many matching subjects pass before it begins

    def matches(self, subject: S) -> bool:
        """Return whether the rule is for this subject, regardless of its counts."""
        raise NotImplementedError

    def applies(self, subject: S) -> bool:
        """Return whether the rule applies to this subject, and count it."""
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
