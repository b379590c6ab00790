"""The KQL queries mean something: to Microsoft's language service, and to the product's log."""

import functools
import re

import pytest

from scoring.jobs.outcome import Status
from scoring.jobs.progress import State
from scoring.log import Action
from tests.infra import kql, logged
from tests.pages import ROOT, blocks, page, section
from tests.worker.apps import BINDINGS


@pytest.mark.parametrize("name", kql.names())
def test_a_query_is_analysed_without_a_diagnostic(name: str) -> None:
    found = kql.analysed()[name]
    assert found.diagnostics == []
    assert found.columns


@functools.cache
def _broken() -> dict[str, list[str]]:
    """Return what is said of queries with a mistake."""
    right = kql.text("unknown")
    assert right.count("| where state ==") == 1
    wrong = {
        "column": right.replace("where state", "where sate"),
        "operator": right.replace("| where", "| were"),
        "field": right.replace("project job,", "project jib,"),
        "column of a table": "AppTraces | project Mesage",
        "table": "AppTrace | project Message",
    }
    said = kql.analyse({name: kql.deployed(query) for name, query in wrong.items()})
    return {name: analysis.diagnostics for name, analysis in said.items()}


@pytest.mark.parametrize(
    ("mistake", "misspelt"),
    [
        ("column", "sate"),
        ("operator", "were"),
        ("field", "jib"),
        ("column of a table", "Mesage"),
        ("table", "AppTrace"),
    ],
)
def test_a_misspelt_name_is_found(mistake: str, misspelt: str) -> None:
    found = _broken()[mistake]
    assert any(one.startswith(misspelt) for one in found), found


# --- what the product logs ----------------------------------------------------------------------

ALL = "".join(kql.without_comments(kql.text(name)) for name in (*kql.SHARED, *kql.names()))


def _compared(column: str, text: str) -> set[str]:
    """Return the values that a column is held against."""
    found = re.findall(rf"\b{column} (?:==|!=|in|!in) ?(\([^)]*\)|'[^']*')", text)
    return {value for one in found for value in re.findall(r"'([^']*)'", one)}


def test_every_action_that_a_query_names_is_one_that_the_product_logs() -> None:
    named = _compared("action", ALL)
    assert {"claimed", "not-announced", "stuck"} < named
    assert named <= set(Action)


def test_every_action_is_held_against_a_list_that_the_test_reads() -> None:
    """No `has`, `startswith` or variable, whose values would escape it."""
    uses = re.findall(r"\baction (?!asc|desc|by)([a-z!=~<>]+)", ALL.replace("action:", ""))
    assert set(uses) <= {"==", "!=", "in", "!in"}


def test_every_field_that_a_query_reads_is_one_that_the_product_logs() -> None:
    (listed,) = re.findall(r"parse-kv fields as \((.*?)\) with", kql.text("lines"), re.DOTALL)
    read = set(re.findall(r"(\w+):(?:string|int)", listed))
    assert {"job", "route", "digest"} < read
    assert read <= logged.fields()


def test_the_fields_of_the_log_are_those_of_its_calls() -> None:
    """Among them those that a function or a variable brings."""
    assert {"job", "type", "subject", "digest", "until", "shelf", "problem"} <= logged.fields()


def test_the_steps_lead_to_the_states_that_there_are() -> None:
    states = set(re.findall(r", '([a-z]+)',$", kql.text("steps"), re.MULTILINE))
    # `claimed` says which of the other two it is; `closed` is no state: the job is forgotten.
    claimed = {State.PENDING, State.SUBMITTING}
    assert states | claimed == {*State, "closed"}


def test_every_end_is_a_step() -> None:
    (ends,) = re.findall(r"action in \(([^)]*)\), 'ended'", kql.text("steps"))
    assert set(re.findall(r"'([a-z-]+)'", ends)) == {*Status, Action.NOT_ANNOUNCED}


def test_the_states_that_queries_ask_for_are_states() -> None:
    assert _compared("state", ALL) <= {*State, "closed"}


def test_the_functions_that_queries_ask_for_are_the_apps() -> None:
    asked = _compared("function", ALL) | {"poll", "sweep"}
    assert "datatable (function:string) ['poll', 'sweep']" in ALL
    assert asked <= set(BINDINGS)


def test_the_host_logs_each_run() -> None:
    """Runs are read from its lines `Executed …`, which are of the level Information."""
    levels = (ROOT / "host.json").read_text("utf-8")
    assert '"default": "Information"' in levels
    assert '"Function' not in levels


# --- operate.md ---------------------------------------------------------------------------------

SECTION = section(page("operate"), "Queries")


def test_operate_shows_each_query_as_it_is_under_its_name() -> None:
    shared, *entries = SECTION.split("\n### ")[1:]
    assert {entry.partition("\n")[0] for entry in entries} == set(kql.names())
    for entry in entries:
        assert f"```kusto\n{kql.text(entry.partition(chr(10))[0])}```" in entry
    for name in kql.SHARED:
        assert f"```kusto\n{kql.text(name)}```" in shared


def test_the_lines_that_operate_shows_are_lines_of_the_log() -> None:
    shown = [line for block in blocks(SECTION, "log") for line in block.splitlines()]
    assert len(shown) > 10
    for line in shown:
        action, _, rest = line.partition(" ")
        if action == "Executed":
            assert re.match(r"'Functions\.\w+' \((Succeeded|Failed), Id=", rest)
        else:
            assert Action(action)
            unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", rest)
            assert set(re.findall(r"(\w+)=", unquoted)) <= logged.fields()
