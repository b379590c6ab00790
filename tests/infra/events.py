"""The example events of docs/events.md."""

import json
from typing import Any

from tests.pages import blocks, page

EXAMPLES: list[dict[str, Any]] = [json.loads(block) for block in blocks(page("events"), "json")]
"""One of each type; some are other ends of one job, and so have one id."""

DIFFERENT = list({event["id"]: event for event in EXAMPLES}.values())
"""Those that one topic may have seen."""
