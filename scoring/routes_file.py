"""Reading `routes.toml`: all good routes, and one mistake for each of the others."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from scoring.durations import read_duration
from scoring.route import Mistake, Param, Ready, Route, without_loops
from scoring.route_rules import problems

_SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MISSING = re.compile(r"missing required field `(\w+)`")
_DURATIONS = frozenset({"timeout", "queue_timeout", "run_timeout", "minimum_gap"})
_DURATIONS_OF_READY = frozenset({"quiet", "at_most"})


def read_routes(text: str, settings: Mapping[str, str]) -> tuple[list[Route], list[Mistake]]:
    """Read `routes.toml`: all good routes, and one mistake for each of the others.

    `${NAME}` is replaced by the app setting of that name.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        return [], [Mistake(route="(all)", field="(syntax)", problem=str(mistake))]
    tables = document.pop("routes", [])
    if document or not isinstance(tables, list):
        wrong = min(document, default="routes")
        return [], [Mistake(route="(all)", field=wrong, problem="write [[routes]] tables only")]
    routes: list[Route] = []
    mistakes: list[Mistake] = []
    for number, table in enumerate(tables, start=1):
        try:
            routes.append(_read_route(table, settings, {route.name for route in routes}))
        except _FieldError as wrong:
            named = table.get("name") if isinstance(table, dict) else None
            route = str(named or f"number {number}")
            mistakes.append(Mistake(route=route, field=wrong.field, problem=wrong.problem))
    return without_loops(routes, lambda route: route.datastore, mistakes)


class _FieldError(Exception):
    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


def _read_route(table: Any, settings: Mapping[str, str], taken: set[str]) -> Route:
    if not isinstance(table, dict):
        raise _FieldError("(route)", "write a [[routes]] table")
    _check_fields(table, Route)
    if isinstance(table.get("ready"), dict):
        _check_fields(table["ready"], Ready, "ready.")
    if isinstance(table.get("params"), dict):
        _check_params(table["params"])
    try:
        route = msgspec.convert(_with_durations(_fill_in(table, settings)), Route)
    except msgspec.ValidationError as mistake:
        raise _field_error(str(mistake)) from None
    if route.name in taken:
        raise _FieldError("name", "another route has this name")
    problem = next(problems(route), None)
    if problem:
        raise _FieldError(*problem)
    return route


def _check_fields(table: dict[str, Any], kind: type[msgspec.Struct], within: str = "") -> None:
    for field in table:
        if field not in kind.__struct_fields__:
            near = difflib.get_close_matches(field, kind.__struct_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "docs/routes.md lists the fields"
            raise _FieldError(within + field, f"no such field; {hint}")


def _check_params(params: dict[str, Any]) -> None:
    for name, value in params.items():
        if not isinstance(value, Param):
            raise _FieldError(f"params.{name}", "must be text, a number, true or false")


def _field_error(said: str) -> _FieldError:
    """Translate what msgspec says, e.g. "Expected `str`, got `int` - at `$.ready.marker`"."""
    problem, _, place = said.partition(" - at `$.")
    field = place.rstrip("`")
    missing = _MISSING.search(problem)
    if missing:
        return _FieldError(".".join(filter(None, [field, missing[1]])), "is missing")
    kind = Route.__annotations__.get(field)
    if field == "max_active":
        problem = 'must be a number from 1 on, or "unlimited"'
    elif get_origin(kind) is Literal:
        problem = "must be " + " or ".join(f'"{choice}"' for choice in get_args(kind))
    return _FieldError(field, problem)


def _fill_in(value: Any, settings: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {field: _fill_in(one, settings) for field, one in value.items()}
    if not isinstance(value, str):
        return value

    def setting(found: re.Match[str]) -> str:
        if found[1] not in settings:
            raise _FieldError(f"${{{found[1]}}}", "there is no app setting of this name")
        return settings[found[1]]

    return _SETTING.sub(setting, value)


def _with_durations(table: dict[str, Any]) -> dict[str, Any]:
    read = {**table, **_durations(table, _DURATIONS)}
    ready = table.get("ready")
    if isinstance(ready, dict):
        read["ready"] = {**ready, **_durations(ready, _DURATIONS_OF_READY, "ready.")}
    return read


def _durations(table: dict[str, Any], fields: frozenset[str], within: str = "") -> dict[str, Any]:
    read: dict[str, Any] = {}
    for field in fields & table.keys():
        try:
            read[field] = read_duration(table[field])
        except ValueError as mistake:
            raise _FieldError(within + field, str(mistake)) from None
    return read
