"""routes.toml: all good routes, and one mistake for each of the others."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.routes.file import kinds_of, read_routes
from scoring.routes.route import Ready, Route
from scoring.routes.rules import Mistake

ROOT = Path(__file__).parent.parent.parent
FILES: dict[str, Any] = {
    "name": "files",
    "datastore": "workspaceblobstore",
    "match": "landing/**/*.csv",
    "input": "file",
    "endpoint": "classifier",
    "output": "scored/{date}/{stem}-{key}/predictions.csv",
    "max_active": "unlimited",
}
FOLDERS = FILES | {
    "name": "folders",
    "match": "landing/{batch}/*.png",
    "input": "folder",
    "ready": {"marker": "landing/{batch}.done"},
    "output": "scored/{batch}-{key}/predictions.csv",
}


def read(
    *tables: dict[str, Any], settings: dict[str, str] | None = None
) -> tuple[list[Route], list[Mistake]]:
    return read_routes(f"routes = {toml([*tables])}\n", settings or {})


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(name)} = {toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def without(table: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != field}


# --- good routes --------------------------------------------------------------------------------


def test_a_route_of_files_is_read_with_its_defaults() -> None:
    assert read(FILES) == ([Route(**FILES)], [])


def test_a_route_of_folders_is_read_with_its_marker() -> None:
    (folders,), mistakes = read(FOLDERS)
    assert mistakes == []
    assert folders.ready == Ready(marker="landing/{batch}.done")
    assert folders.trigger == "landing/{batch}.done"


def test_every_optional_field_is_read() -> None:
    fields = {
        "deployment": "blue",
        "uri": "https://landingzone.blob.core.windows.net/{container}/{path}",
        "max_attempts": 3,
        "enabled": False,
        "on_empty": "score",
        "on_overwrite": "ignore",
        "on_unknown": "hold",
        "output_kind": "folder",
        "input_name": "heart_data",
        "output_name": "Scores2",
        "params": {"a": "x", "b": 7, "c": 0.5, "d": True},
        "instance_count": 4,
        "mini_batch_size": 10,
        "error_threshold": -1,
        "max_retries": 0,
    }
    (made,), mistakes = read(FILES | fields)
    assert mistakes == []
    assert fields.items() <= msgspec.structs.asdict(made).items()


def test_a_route_without_output_is_read_and_can_loop_nowhere() -> None:
    silent = without(FILES, "output") | {"output_kind": "none"}
    (made,), mistakes = read(silent)
    assert mistakes == []
    assert made.output == ""


def test_an_empty_file_has_no_routes_and_no_mistakes() -> None:
    assert read_routes("", {}) == ([], [])


def test_the_file_that_comes_with_the_app_has_no_mistakes() -> None:
    routes, mistakes = read_routes((ROOT / "routes.toml").read_text("utf-8"), {})
    assert routes
    assert mistakes == []


def test_app_settings_are_filled_in_everywhere() -> None:
    table = FOLDERS | {"endpoint": "${ENDPOINT}", "ready": {"marker": "${TOP}/{batch}.done"}}
    (made,), _ = read(table, settings={"ENDPOINT": "digits", "TOP": "landing"})
    assert (made.endpoint, made.trigger) == ("digits", "landing/{batch}.done")


def test_an_app_setting_that_is_missing_is_named() -> None:
    _, mistakes = read(FILES | {"endpoint": "${ENDPOINT}"})
    assert mistakes == [
        Mistake(route="files", field="${ENDPOINT}", problem="there is no app setting of this name")
    ]


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", [*FILES])
def test_a_required_field_that_is_missing_is_named(field: str) -> None:
    routes, (mistake,) = read(without(FILES, field))
    assert routes == []
    assert (mistake.field, mistake.problem) == (field, "is missing")


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    # what is no field, or no value of its kind
    ({"ouput": "x"}, "ouput", "did you mean 'output'?"),
    ({"colour": "x"}, "colour", "docs/routes.md lists the fields"),
    ({"endpoint": 7}, "endpoint", "must be text"),
    ({"enabled": "yes"}, "enabled", "must be true or false"),
    ({"input": "files"}, "input", 'must be "file" or "folder"'),
    ({"max_active": 0}, "max_active", 'must be a number from 1 on, or "unlimited"'),
    ({"max_active": "20"}, "max_active", 'must be a number from 1 on, or "unlimited"'),
    ({"max_active": True}, "max_active", 'must be a number from 1 on, or "unlimited"'),
    ({"max_attempts": 0}, "max_attempts", "must be at least 1"),
    ({"on_empty": "keep"}, "on_empty", 'must be "reject" or "score"'),
    # what passes through to the batch job
    ({"input_name": ""}, "input_name", "use letters, digits and `_`"),
    ({"input_name": "7up"}, "input_name", "the first a letter"),
    ({"input_name": "_data"}, "input_name", "the first a letter"),
    ({"output_name": "heart-data"}, "output_name", "use letters, digits and `_`"),
    ({"output_name": "größe"}, "output_name", "use letters, digits and `_`"),
    ({"output_name": "scores\n"}, "output_name", "use letters, digits and `_`"),
    ({"params": 7}, "params", "must be a table, e.g. { threshold = 0.5 }"),
    ({"params": {"a": ["x"]}}, "params.a", "must be text, a number, true or false"),
    ({"params": {"a": {"b": 1}}}, "params.a", "must be text, a number, true or false"),
    ({"params": {"a-b": 1}}, "params.a-b", "use letters, digits and `_`"),
    ({"params": {"": 1}}, "params.", "use letters, digits and `_`"),
    ({"params": {"input": 1}}, "params.input", "is the name of the input, too"),
    ({"params": {"x": 1}, "input_name": "x"}, "params.x", "is the name of the input, too"),
    ({"params": {"a": 2**63}}, "params.a", "is too large for a number"),
    ({"params": {"a": -(2**70)}}, "params.a", "is too large for a number"),
    ({"instance_count": 0}, "instance_count", "must be at least 1"),
    ({"instance_count": "4"}, "instance_count", "must be a whole number"),
    ({"instance_count": 2**70}, "instance_count", "at most 2147483647"),
    ({"mini_batch_size": 0}, "mini_batch_size", "must be at least 1"),
    ({"error_threshold": -2}, "error_threshold", "must be at least -1"),
    ({"max_retries": -1}, "max_retries", "must be at least 0"),
    ({"timeout": 0}, "timeout", "must be seconds, or a text"),
    ({"timeout": "soon"}, "timeout", "must be seconds, or a text"),
    ({"timeout": True}, "timeout", "must be seconds, or a text"),
    ({"timeout": {"s": 1}}, "timeout", "must be seconds, or a text"),
    ({"queue_timeout": "soon"}, "queue_timeout", "must be seconds, or a text"),
    ({"run_timeout": 0}, "run_timeout", "must be seconds, or a text"),
    ({"on_unknown": "fail"}, "on_unknown", 'must be "resubmit" or "hold"'),
    ({"on_overwrite": "skip"}, "on_overwrite", 'must be "score" or "ignore"'),
    # names
    ({"name": "Files"}, "name", "use lower-case letters"),
    ({"name": "-files"}, "name", "use lower-case letters"),
    ({"name": "files\n"}, "name", "use lower-case letters"),
    ({"name": "f" * 64}, "name", "use lower-case letters"),
    ({"datastore": ""}, "datastore", "use letters, digits"),
    ({"datastore": "work/space"}, "datastore", "use letters, digits"),
    ({"endpoint": "../other"}, "endpoint", "use letters, digits"),
    ({"endpoint": "klassifikátor"}, "endpoint", "use letters, digits"),
    ({"deployment": "blue\r\nx-header: y"}, "deployment", "use letters, digits"),
    # patterns
    ({"match": "/landing/*.csv"}, "match", "must begin with a literal folder"),
    ({"match": "*.csv"}, "match", "must begin with a literal folder"),
    ({"match": "**/*.csv"}, "match", "must begin with a literal folder"),
    ({"match": "{site}/*.csv"}, "match", "must begin with a literal folder"),
    ({"match": ""}, "match", "must begin with a literal folder"),
    ({"match": "landing/{Site}/*"}, "match", "has a brace that is not {name}"),
    ({"match": "landing/{site/*"}, "match", "has a brace that is not {name}"),
    ({"match": "landing/{day}/{day}/*"}, "match", "uses one {name} twice"),
    ({"match": "landing/{key}/*"}, "match", "{key} has a meaning of its own"),
    ({"match": "landing/{stem}.csv"}, "match", "{stem} has a meaning of its own"),
    ({"match": "landing/**.csv"}, "match", "only slashes may be beside it"),
    ({"match": "landing/x**/a.csv"}, "match", "only slashes may be beside it"),
    ({"match": "landing/***"}, "match", "only slashes may be beside it"),
    ({"match": "landing/../scored/**"}, "match", "may be `.` or `..`"),
    ({"match": "landing/./*.csv"}, "match", "may be `.` or `..`"),
    ({"match": "landing/%2E%2e/*.csv"}, "match", "may be `.` or `..`"),
    ({"match": "landing\\..\\scored/*.csv"}, "match", "may be `.` or `..`"),
    # outputs
    ({"output": "scored/{stem}/x.csv"}, "output", "needs `{key}`"),
    ({"output": "scored/{{key}}/x.csv"}, "output", "must be names of"),
    ({"output": "scored/{sit}/{key}.csv"}, "output", "knows no {sit}, only date, key, route, stem"),
    ({"output": "scored/{}/{key}.csv"}, "output", "knows no {}"),
    ({"output": "scored/{key.x}.csv"}, "output", "knows no {key.x}"),
    ({"output": "scored/{key:>9}.csv"}, "output", "{key} takes no format"),
    ({"output": "scored/{key!r}.csv"}, "output", "{key} takes no format"),
    ({"output": "scored/{key"}, "output", "expected '}'"),
    ({"output": "{key}.csv"}, "output", "a literal one first"),
    ({"output": "{route}/{key}.csv"}, "output", "a literal one first"),
    ({"output": "/scored/{key}.csv"}, "output", "must be names of"),
    ({"output": "scored//{key}.csv"}, "output", "must be names of"),
    ({"output": "scored/{key}/"}, "output", "must be names of"),
    ({"output": "scored/{key} 1.csv"}, "output", "must be names of"),
    ({"output": "geschätzt/{key}.csv"}, "output", "must be names of"),
    ({"output": "scored/../{key}.csv"}, "output", "may begin or end with a dot"),
    ({"output": "./scored/{key}.csv"}, "output", "may begin or end with a dot"),
    ({"output": "scored/.{stem}/{key}.csv"}, "output", "may begin or end with a dot"),
    ({"output": "scored/{stem}./{key}.csv"}, "output", "may begin or end with a dot"),
    ({"output": "scored/{key}."}, "output", "may begin or end with a dot"),
    ({"output_kind": "files"}, "output_kind", 'must be "file" or "folder" or "none"'),
    ({"output_kind": "none"}, "output", 'does not go with output_kind = "none"'),
    (
        {"output_kind": "none", "output": "", "output_name": "scores"},
        "output_name",
        "there is no output to name",
    ),
    (
        {"output_kind": "none", "output": "", "receipt": True},
        "receipt",
        "there is no output to lie beside",
    ),
    ({"output_kind": "folder", "output": ""}, "output", "is missing"),
    ({"output_kind": "folder", "output": "scored/{key}/"}, "output", "must be names of"),
    ({"output_kind": "folder", "output": "landing/{key}"}, "output", "may lie where route"),
    # URIs
    ({"uri": "azureml://datastores/{store}/paths/{path}"}, "uri", "knows no {store}"),
    ({"uri": "https://x.blob.core.windows.net/{path}?sig=x"}, "uri", "takes no query"),
    ({"uri": "https://x.net/{container}/../{path}"}, "uri", "may be `.` or `..`"),
    ({"uri": "azureml://datastores/x/paths/%2e%2e/{path}"}, "uri", "may be `.` or `..`"),
    ({"uri": "https://x.net{path}"}, "uri", "a path in its host"),
    ({"uri": "https://x.net\\..\\{path}"}, "uri", "must be an azureml:// or https:// URI"),
    # folders
    ({"ready": {"marker": "landing/done"}}, "ready", 'goes with input = "folder" only'),
    ({"input": "folder"}, "ready", "a folder needs one"),
    ({"minimum_gap": "1h"}, "minimum_gap", 'goes with input = "folder" only'),
    ({"late": "ignore"}, "late", 'goes with input = "folder" only'),
]


@pytest.mark.parametrize(
    ("fields", "field", "problem"), MISTAKES, ids=[str(fields) for fields, _, _ in MISTAKES]
)
def test_a_route_with_a_mistake_is_left_out_and_the_field_named(
    fields: dict[str, Any], field: str, problem: str
) -> None:
    routes, (mistake,) = read(FILES | fields)
    assert routes == []
    assert (mistake.route, mistake.field) == (str(fields.get("name", "files")), field)
    assert problem in mistake.problem


QUIET = {"quiet": "5m", "at_most": "1h"}
FOLDER_MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"ready": "quiet"}, "ready", 'must be { marker = "landing/{batch}.done" } or { quiet'),
    ({"ready": {}}, "ready", "needs a marker, or both of quiet and at_most"),
    ({"ready": {"marker": 7}}, "ready.marker", "must be text"),
    ({"ready": {"markr": "landing/{batch}.done"}}, "ready.markr", "did you mean 'marker'?"),
    ({"ready": {"quiet": "5m"}}, "ready", "needs a marker, or both of quiet and at_most"),
    ({"ready": {"at_most": "5m"}}, "ready", "needs a marker, or both of quiet and at_most"),
    ({"ready": {"quiet": "soon", "at_most": "1h"}}, "ready.quiet", "must be seconds, or a text"),
    ({"ready": QUIET | {"quiet": "1s"}}, "ready.quiet", "must be at least 2 seconds"),
    ({"ready": QUIET | {"at_most": "4m"}}, "ready.at_most", "must not be shorter than quiet"),
    ({"ready": QUIET | {"marker": "landing/{batch}.done"}}, "ready", "not both"),
    ({"ready": QUIET, "match": "landing/{batch}/**"}, "match", "no `**`"),
    ({"ready": QUIET, "on_overwrite": "ignore"}, "on_overwrite", 'late = "ignore"'),
    (
        {"ready": QUIET, "match": "landing/{batch}/{n}.png", "output": "scored/{n}-{key}"},
        "output",
        "knows no {n}",
    ),
    ({"on_empty": "score"}, "on_empty", 'goes with input = "file" only'),
    ({"late": "ignore"}, "late", "goes with ready = { quiet"),
    ({"late": "never"}, "late", 'must be "score" or "ignore"'),
    ({"minimum_gap": "0s"}, "minimum_gap", "must be seconds, or a text"),
    ({"ready": {"marker": "/{batch}.done"}}, "ready.marker", "must begin with a literal folder"),
    ({"ready": {"marker": "landing/{b/x}"}}, "ready.marker", "has a brace"),
    ({"ready": {"marker": "in/../{batch}.done"}}, "ready.marker", "may be `.` or `..`"),
    ({"ready": {"marker": "landing/done"}}, "ready.marker", "must name {batch}"),
    ({"match": "landing/*/*.png"}, "match", "the folder may hold literals and {name} only"),
    ({"match": "landing/**/*.png"}, "match", "the folder may hold literals and {name} only"),
    ({"match": "landing-{batch}.png"}, "match", "names no folder"),
    ({"match": "landing"}, "match", "names no folder"),
    ({"match": "landing/{batch}/{n}.png", "output": "scored/{n}-{key}"}, "output", "knows no {n}"),
]


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    FOLDER_MISTAKES,
    ids=[str(fields) for fields, _, _ in FOLDER_MISTAKES],
)
def test_a_route_of_folders_with_a_mistake_is_left_out_and_the_field_named(
    fields: dict[str, Any], field: str, problem: str
) -> None:
    routes, (mistake,) = read(FOLDERS | fields)
    assert routes == []
    assert (mistake.route, mistake.field) == ("folders", field)
    assert problem in mistake.problem


@pytest.mark.parametrize("written", ["2026-11-01", "2026-11-01T00:00:00", "7", '"soon"'])
def test_a_time_has_its_offset(written: str) -> None:
    text = f"routes = {toml([FILES | {'since': 0}])}".replace("= 0", f"= {written}")
    _, (mistake,) = read_routes(text, {})
    told = "must be a time with its offset, e.g. 2026-11-01T00:00:00Z"
    assert (mistake.field, mistake.problem) == ("since", told)


@pytest.mark.parametrize("wrong", [7, "x", 0.5, True, [], {}, ["x"]], ids=str)
@pytest.mark.parametrize("field", [*kinds_of(Route), *(f"ready.{one}" for one in kinds_of(Ready))])
def test_no_mistake_is_told_in_words_that_are_not_of_toml(field: str, wrong: object) -> None:
    within, _, last = field.rpartition(".")
    _, mistakes = read(FOLDERS | ({within: {last: wrong}} if within else {field: wrong}))
    told = " ".join(mistake.problem for mistake in mistakes)
    assert not re.search(r"Expected|null|object|got `", told)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_a_parameter_that_no_json_can_hold_is_told(value: str) -> None:
    text = f"routes = {toml([FILES | {'params': {'a': 0}}])}".replace("= 0", f"= {value}")
    _, (mistake,) = read_routes(text, {})
    assert (mistake.field, mistake.problem) == ("params.a", "must be a finite number")


def test_a_date_is_no_parameter() -> None:
    text = f"routes = {toml([FILES | {'params': {'a': 0}}])}".replace("= 0", "= 2026-11-24")
    _, (mistake,) = read_routes(text, {})
    assert (mistake.field, mistake.problem) == ("params.a", "must be text, a number, true or false")


def test_parameters_are_the_same_after_the_ledger() -> None:
    params = {"a": "1", "b": 7, "c": 1.0, "d": True, "e": 1e300, "f": -(2**63) + 1}
    (made,), _ = read(FILES | {"params": params})
    again = msgspec.json.decode(msgspec.json.encode(made), type=Route)
    assert [repr(one) for one in again.params.values()] == [repr(one) for one in params.values()]


def test_a_duration_is_read_also_where_an_app_setting_says_it_and_after_the_ledger() -> None:
    (made,), _ = read(FILES | {"timeout": "${TIMEOUT}"}, settings={"TIMEOUT": "5m"})
    assert made.timeout == timedelta(minutes=5)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Route) == made


def test_a_broken_route_does_not_stop_the_others_and_each_mistake_is_told() -> None:
    third = FILES | {"name": "third"}
    routes, mistakes = read(FILES, without(FILES, "name"), FOLDERS | {"output": "x"}, third)
    assert [route.name for route in routes] == ["files", "third"]
    assert [(mistake.route, mistake.field) for mistake in mistakes] == [
        ("number 2", "name"),
        ("folders", "output"),
    ]


def test_two_routes_of_one_name_are_told() -> None:
    routes, (mistake,) = read(FILES, FOLDERS | {"name": "files"})
    assert [route.input for route in routes] == ["file"]
    assert str(mistake) == "routes.toml: route files: name: another route has this name"


def test_a_route_that_could_score_its_own_output_is_left_out() -> None:
    routes, (mistake,) = read(FILES | {"output": "landing/{key}.csv"})
    assert routes == []
    assert mistake.field == "output"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[[routes]\n", "(syntax)"),
        ("routes = 7\n", "routes"),
        ("[[route]]\nname = 'x'\n", "route"),
        ("version = 1\n[[routes]]\n", "version"),
    ],
)
def test_a_file_that_is_no_list_of_routes_is_told(text: str, field: str) -> None:
    routes, (mistake,) = read_routes(text, {})
    assert routes == []
    assert (mistake.route, mistake.field) == ("(all)", field)


@pytest.mark.parametrize("text", ["[routes]\nname = 'x'\n", "routes = [7]\n"])
def test_a_route_that_is_no_table_is_told(text: str) -> None:
    routes, (mistake,) = read_routes(text, {})
    assert routes == []
    assert "[[routes]]" in mistake.problem


TEXT = st.text(alphabet="ab*?{}/.key$", max_size=9)
VALUES = st.booleans() | st.integers(-1, 2) | TEXT
TABLES = st.dictionaries(
    st.sampled_from(
        [
            *FOLDERS,
            "uri",
            "deployment",
            "max_attempts",
            "enabled",
            "on_empty",
            "output_kind",
            "params",
            "timeout",
            "max_retries",
            "x",
        ]
    ),
    VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(TEXT, VALUES, max_size=1),
    max_size=3,
)


@given(tables=st.lists(st.builds(FOLDERS.__or__, TABLES), max_size=3))
def test_every_table_is_a_route_or_a_mistake(tables: list[dict[str, Any]]) -> None:
    """Nothing that somebody may write makes the reader raise, or gets lost."""
    routes, mistakes = read(*tables)
    assert len(routes) + len(mistakes) == len(tables)


@given(text=st.text())
def test_no_text_makes_the_reader_raise(text: str) -> None:
    routes, mistakes = read_routes(text, {})
    assert routes == []
    assert len(mistakes) <= 1
