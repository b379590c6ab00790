"""The documents say what the code does."""

import re
from pathlib import Path

from scoring.log import Action

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_operate_lists_each_action_that_the_product_logs_and_no_other() -> None:
    table = (DOCS / "operate.md").read_text().partition("## Actions")[2].partition("## Reasons")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)) == set(Action)


def test_operate_lists_each_reason_that_the_product_gives_and_no_other() -> None:
    table = (DOCS / "operate.md").read_text().partition("## Reasons")[2]
    listed = set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE))
    source = "".join(path.read_text() for path in (ROOT / "scoring").glob("*.py"))
    given = re.findall(
        r'code="([a-z-]+)"|(?:_rejected|Status\.\w+,|outcome,)\s*\(?"([a-z-]+)"', source
    )
    assert listed == {one for pair in given for one in pair if one}
