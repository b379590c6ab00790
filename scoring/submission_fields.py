"""What those fields may say that only pass through to the batch job."""

import math
import re
from collections.abc import Iterator

from scoring.route import SubmissionFields

_DATA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NAMED_SO = "use letters, digits and `_`, the first a letter"
_LEAST = {"instance_count": 1, "mini_batch_size": 1, "error_threshold": -1, "max_retries": 0}
_LARGEST_SETTING = 2**31 - 1
_LARGEST_NUMBER = 2**63 - 1  # that comes back from the ledger as it was


def submission_problems(asked: SubmissionFields) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that these fields break."""
    for field in ("input_name", "output_name"):
        if not _DATA_NAME.fullmatch(getattr(asked, field)):
            yield field, _NAMED_SO
    yield from _param_problems(asked)
    for field, least in _LEAST.items():
        value = getattr(asked, field)
        if value is not None and not least <= value <= _LARGEST_SETTING:
            yield field, f"must be at least {least} and at most {_LARGEST_SETTING}"


def _param_problems(asked: SubmissionFields) -> Iterator[tuple[str, str]]:
    for name, value in asked.params.items():
        field = f"params.{name}"
        if not _DATA_NAME.fullmatch(name):
            yield field, _NAMED_SO
        if name == asked.input_name:
            yield field, "is the name of the input, too: give one of them another"
        if isinstance(value, float) and not math.isfinite(value):
            yield field, "must be a finite number"
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            yield field, "is too large for a number: write it as text"
