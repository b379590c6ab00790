"""Reading `routes.toml`: all good routes, and one mistake for each of the others."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from scoring.durations import read_duration
from scoring.field_errors import FieldError, field_error
from scoring.routes.route import Param, Ready, Route
from scoring.routes.rules import MARKER_OR_QUIET, Mistake, is_name, problems, without_loops

_SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MUST_BE: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    int | Literal["unlimited"]: 'a number from 1 on, or "unlimited"',
    datetime: "a time with its offset, e.g. 2026-11-01T00:00:00Z",
    dict[str, Param]: "a table, e.g. { threshold = 0.5 }",
    Ready: MARKER_OR_QUIET,
}


def read_routes(text: str, settings: Mapping[str, str]) -> tuple[list[Route], list[Mistake]]:
    """Read `routes.toml`: all good routes, and one mistake for each of the others.

    `${NAME}` is replaced by the app setting of that name.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        return [], [_of_all("(syntax)", str(mistake))]
    tables = document.pop("routes", [])
    if document or not isinstance(tables, list):
        wrong = min(document, default="routes")
        return [], [_of_all(wrong, "write [[routes]] tables only")]
    routes: list[Route] = []
    mistakes: list[Mistake] = []
    for number, table in enumerate(tables, start=1):
        try:
            routes.append(_read_route(table, settings, {route.name for route in routes}))
        except _WrongField as wrong:
            name = table.get("name") if isinstance(table, dict) else None
            mistakes.append(
                Mistake(
                    route=str(name or f"number {number}"),
                    field=wrong.field,
                    problem=wrong.problem,
                    named=is_name(name),
                )
            )
    return without_loops(routes, lambda route: route.datastore, mistakes)


def _of_all(field: str, problem: str) -> Mistake:
    return Mistake(route="(all)", field=field, problem=problem, named=False)


def kinds_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the type that each field of a struct has where it is not left out."""
    hints = get_type_hints(struct)
    return {field: _kind(hints[field]) for field in struct.__struct_fields__}


def _kind(hint: Any) -> Any:
    kind, *others = get_args(hint) or [hint]
    return kind if others == [NoneType] else hint


class _WrongField(Exception):
    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


def _read_route(table: Any, settings: Mapping[str, str], taken: set[str]) -> Route:
    if not isinstance(table, dict):
        raise _WrongField("(route)", "write a [[routes]] table")
    _check_fields(table, Route)
    if isinstance(table.get("ready"), dict):
        _check_fields(table["ready"], Ready, "ready.")
    if isinstance(table.get("params"), dict):
        _check_params(table["params"])
    try:
        route = msgspec.convert(_with_durations(_fill_in(table, settings)), Route)
    except msgspec.ValidationError as mistake:
        raise _in_words(field_error(mistake)) from None
    if route.name in taken:
        raise _WrongField("name", "another route has this name")
    problem = next(problems(route), None)
    if problem:
        raise _WrongField(*problem)
    return route


def _check_fields(table: dict[str, Any], kind: type[msgspec.Struct], within: str = "") -> None:
    for field in table:
        if field not in kind.__struct_fields__:
            near = difflib.get_close_matches(field, kind.__struct_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "docs/routes.md lists the fields"
            raise _WrongField(within + field, f"no such field; {hint}")


def _check_params(params: dict[str, Any]) -> None:
    for name, value in params.items():
        if not isinstance(value, Param):
            raise _WrongField(f"params.{name}", "must be text, a number, true or false")


def _in_words(error: FieldError) -> _WrongField:
    """Return what msgspec refuses in the words of docs/routes.md."""
    if error.kind == "missing":
        return _WrongField(error.field, "is missing")
    within, _, last = error.field.rpartition(".")
    kind = kinds_of(Ready if within else Route)[last]
    if get_origin(kind) is Literal:
        must_be = " or ".join(f'"{choice}"' for choice in get_args(kind))
    else:
        must_be = _MUST_BE[kind]
    return _WrongField(error.field, f"must be {must_be}")


def _fill_in(value: Any, settings: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {field: _fill_in(one, settings) for field, one in value.items()}
    if not isinstance(value, str):
        return value

    def setting(found: re.Match[str]) -> str:
        if found[1] not in settings:
            raise _WrongField(f"${{{found[1]}}}", "there is no app setting of this name")
        return settings[found[1]]

    return _SETTING.sub(setting, value)


def _with_durations(table: dict[str, Any]) -> dict[str, Any]:
    read = {**table, **_durations(table, Route)}
    ready = table.get("ready")
    if isinstance(ready, dict):
        read["ready"] = {**ready, **_durations(ready, Ready, "ready.")}
    return read


def _durations(
    table: dict[str, Any], struct: type[msgspec.Struct], within: str = ""
) -> dict[str, Any]:
    read: dict[str, Any] = {}
    kinds = kinds_of(struct)
    for field in (one for one in table if kinds[one] is timedelta):
        try:
            read[field] = read_duration(table[field])
        except ValueError as mistake:
            raise _WrongField(within + field, str(mistake)) from None
    return read
