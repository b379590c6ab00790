"""The pages of docs/, taken apart."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / f"{name}.md").read_text("utf-8")


def section(text: str, title: str) -> str:
    """Return what stands under a heading of the second level."""
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of each row of the tables in a text, but for their heads."""
    lines = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        for row in text.splitlines()
        if row.startswith("|")
    ]
    return [cells for cells in lines if cells[0].startswith("`")]


def blocks(text: str, kind: str) -> list[str]:
    """Return the code blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
