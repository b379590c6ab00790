"""What the fields of a route may say that only pass through to the batch job."""

import re
from collections.abc import Iterator

from scoring.route import Route

_DATA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def submission_problems(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that these fields break."""
    for field in ("input_name", "output_name"):
        if not _DATA_NAME.fullmatch(getattr(route, field)):
            yield field, "use letters, digits and `_`, the first a letter"
