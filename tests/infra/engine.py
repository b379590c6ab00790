"""Runs the queries of infra/ on lines of the log: KQL on DuckDB, in this process.

The engine, duckdb-kql, is young. What it does not know yet is told to it here, in SQL, and a
name that it has come to know is refused, so that its own meaning is not hidden by ours.
"""

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.infra import kql
from tests.infra.traces import NOW, Trace

if TYPE_CHECKING:  # half a second to import, which other tests need not wait for
    import duckdb

_MESSAGE = "Line"  # the column Message: DuckDB cannot keep it apart from the field `message`
_COLUMNS = {
    "TimeGenerated": "TIMESTAMP",
    _MESSAGE: "VARCHAR",
    "Properties": "JSON",
    "_ResourceId": "VARCHAR",
    "AppRoleInstance": "VARCHAR",
}

_AGGREGATES = {
    "minif": "min({0}) FILTER (WHERE {1})",
    "take_anyif": "coalesce(any_value({0}) FILTER (WHERE {1}), '')",  # of texts only
}
_SCALARS = {
    "next": "lead({0}) OVER ()",  # in the order of the `sort by` before it
    "range": "to_json(generate_series({0}, {1}, {2}))",
    "value_of": "value_of({})",  # ours, see `without_parse_kv`
}


def answer(name: str, traces: Sequence[Trace], *, file: str = "") -> list[dict[str, Any]]:
    """Return the rows with which a query answers; `file` is what the workbook is asked for."""
    ours = _connection()
    ours.execute("DELETE FROM AppTraces")
    for trace in traces:
        row = [
            trace.time.replace(tzinfo=None),
            trace.message,
            {"Category": trace.category},
            trace.component,
            trace.instance,
        ]
        ours.execute("INSERT INTO AppTraces VALUES (?, ?, ?, ?, ?)", row)
    sql, parameters = _translated(kql.deployed(kql.text(name)).replace("{file}", file))
    found = ours.execute(sql, parameters)
    columns = [column for column, *_ in found.description]
    return [dict(zip(columns, map(_read, row), strict=True)) for row in found.fetchall()]


def _read(value: Any) -> Any:
    """Return a value of an answer; KQL's times are UTC."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


# --- the engine ---------------------------------------------------------------------------------


@functools.cache
def _connection() -> "duckdb.DuckDBPyConnection":
    """Return a database with an empty table AppTraces."""
    import duckdb_kql  # noqa: PLC0415

    made = duckdb_kql.connect(config={"threads": 1})  # keeps rows in their order
    made.execute(f"CREATE TABLE AppTraces ({', '.join(map(' '.join, _COLUMNS.items()))})")
    made.create_function("value_of", value_of, ["VARCHAR"] * 6, "VARCHAR")
    return made


@functools.cache
def _translated(query: str) -> tuple[str, dict[str, Any]]:
    """Return a query in SQL, and its parameters."""
    import duckdb_kql  # noqa: PLC0415

    _teach()
    schema = {"AppTraces": list(_COLUMNS)}
    known = without_percentiles(without_parse_kv(with_a_text_first(query)))
    known = re.sub(r"\bMessage\b", _MESSAGE, known)
    sql = duckdb_kql.to_sql(known, schema=schema, query_now=NOW)
    return str(sql), sql.parameters


def is_known(query: str) -> bool:
    """Return whether the engine can say a query in SQL, as it stands."""
    import duckdb_kql  # noqa: PLC0415

    try:
        duckdb_kql.to_sql(query)
    except duckdb_kql.KqlError:
        return False
    return True


@functools.cache
def _teach() -> None:
    """Tell the engine what it does not know."""
    from duckdb_kql.translate import functions  # noqa: PLC0415

    assert not {*_AGGREGATES} & {*functions.AGGREGATE_FUNCTIONS}
    assert not {*_SCALARS} & {*functions.SCALAR_FUNCTIONS}
    for name, sql in _AGGREGATES.items():
        functions.AGGREGATE_FUNCTIONS[name] = functions.AggregateSpec(name, sql)
    for name, sql in _SCALARS.items():
        takes = tuple(filter(None, [len(re.findall(r"\{\d\}", sql))]))  # none: any number
        functions.SCALAR_FUNCTIONS[name] = functions.FunctionSpec(name, "template", sql, takes)


# --- said in what the engine knows --------------------------------------------------------------


def with_a_text_first(query: str) -> str:
    """Return a query in which no pattern of `parse` begins with a column."""
    return re.sub(r"parse (\w+) with (?=\w+:)", r"parse strcat('>', \1) with '>' ", query)


def without_percentiles(query: str) -> str:
    """Return a query in which each `percentiles` has become a `percentile` for each number."""
    return re.sub(
        r"percentiles\((\w+), ([\d, ]+)\)",
        lambda found: ", ".join(f"percentile({found[1]}, {one})" for one in found[2].split(", ")),
        query,
    )


def without_parse_kv(query: str) -> str:
    """Return a query in which its one `parse-kv` has become an `extend`, column by column."""
    operator = r"parse-kv (\w+) as \(([^)]*)\) with \(((?:'(?:[^'\\]|\\.)*'|[^')])*)\)"
    ((text, columns, options),) = re.findall(operator, query)
    given = dict(re.findall(r"(\w+)=('(?:[^'\\]|\\.)*')", options))
    pair, kv, quote, escape = (
        given.pop(name) for name in ("pair_delimiter", "kv_delimiter", "quote", "escape")
    )
    assert not given, given
    extended = []
    for name, kind in re.findall(r"(\w+):(\w+)", columns):
        value = f"value_of({text}, '{name}', {pair}, {kv}, {quote}, {escape})"
        extended.append(f"{name} = {({'string': '', 'int': 'toint'})[kind]}({value})")
    return re.sub(operator, lambda _: f"extend {', '.join(extended)}", query)


def value_of(  # noqa: PLR0917 - SQL names no arguments
    text: str, key: str, pair: str, kv: str, quote: str, escape: str
) -> str:
    """Return the first value of a key, as `parse-kv` finds it; empty if there is none.

    https://learn.microsoft.com/kusto/query/parse-kv-operator
    """
    pair, kv, quote, escape = map(re.escape, (pair, kv, quote, escape))
    quoted = rf"{quote}(?P<quoted>(?:{escape}.|(?!{quote}|{escape}).)*){quote}"
    pairs = rf"(?P<key>(?:(?!{pair}|{kv}).)+){kv}(?:{quoted}|(?P<plain>(?:(?!{pair}).)*))"
    for found in re.finditer(pairs, text):
        if found["key"] == key:
            if found["quoted"] is None:
                return found["plain"]
            return re.sub(rf"{escape}(.)", r"\1", found["quoted"])
    return ""
