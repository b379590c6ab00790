"""The example events of docs/events.md."""

import json
import re
from typing import Any

from tests.worker.apps import ROOT

EXAMPLES: list[dict[str, Any]] = [
    json.loads(block)
    for block in re.findall(
        r"^```json\n(.*?)^```$",
        (ROOT / "docs" / "events.md").read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
]
"""One of each type; some are other ends of one job, and so have one id."""

DIFFERENT = list({event["id"]: event for event in EXAMPLES}.values())
"""Those that one topic may have seen."""
