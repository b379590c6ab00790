"""Reading `routes.toml`: all good routes, and one mistake for each of the others."""

import difflib
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from scoring.route import Mistake, Route, literal_beginning, names_in, without_loops

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLACE_OF_MISTAKE = re.compile(r"at `\$\.([\w.]+)`|required field `(\w+)`")
_OUTPUT_NAME = r"(?:[A-Za-z0-9_-]|\{\w+\})(?:[A-Za-z0-9._-]|\{\w+\})*"  # no dot first
_OUTPUT = re.compile(rf"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/{_OUTPUT_NAME})+")
_OUTPUT_FIELDS = frozenset({"date", "key", "route", "stem"})
_URI_FIELDS = frozenset({"datastore", "path", "container"})


def read_routes(text: str, settings: Mapping[str, str]) -> tuple[list[Route], list[Mistake]]:
    """Read `routes.toml`: all good routes, and one mistake for each of the others.

    `${NAME}` is replaced by the app setting of that name.
    """
    try:
        tables = tomllib.loads(text).get("routes", [])
    except tomllib.TOMLDecodeError as mistake:
        return [], [Mistake(route="(all)", field="(syntax)", problem=str(mistake))]
    if not isinstance(tables, list):
        return [], [Mistake(route="(all)", field="routes", problem="write [[routes]] tables")]
    routes: list[Route] = []
    mistakes: list[Mistake] = []
    for number, table in enumerate(tables, start=1):
        try:
            routes.append(_read_route(table, settings, {route.name for route in routes}))
        except _FieldError as wrong:
            name = table.get("name", f"number {number}") if isinstance(table, dict) else number
            mistakes.append(Mistake(route=str(name), field=wrong.field, problem=wrong.problem))
    return without_loops(routes, lambda route: route.datastore, mistakes)


class _FieldError(Exception):
    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


def _read_route(table: Any, settings: Mapping[str, str], taken: set[str]) -> Route:
    if not isinstance(table, dict):
        raise _FieldError("(route)", "write a [[routes]] table")
    _check_fields(table)
    try:
        route = msgspec.convert(_fill_in(table, settings), Route)
    except msgspec.ValidationError as mistake:
        place = _PLACE_OF_MISTAKE.search(str(mistake))
        field_name = (place[1] or place[2]) if place else "(route)"
        raise _FieldError(field_name, str(mistake)) from None
    if route.name in taken:
        raise _FieldError("name", "another route has this name")
    problem = next(_problems(route), None)
    if problem:
        raise _FieldError(*problem)
    return route


def _check_fields(table: dict[str, Any]) -> None:
    for field in table:
        if field not in Route.__struct_fields__:
            near = difflib.get_close_matches(field, Route.__struct_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "docs/routes.md lists the fields"
            raise _FieldError(field, f"no such field; {hint}")


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


def _problems(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that a route breaks."""
    if not _NAME.fullmatch(route.name):
        yield "name", "use lower-case letters, digits and `-`, at most 63, the first no `-`"
    if route.max_attempts < 1:
        yield "max_attempts", "must be at least 1"
    yield from _pattern_problems("match", route.match)
    if route.ready:
        yield from _pattern_problems("ready.marker", route.ready.marker)
    yield from _folder_problems(route)
    names = frozenset(names_in(route.trigger))
    yield from _template_problems("output", route.output, _OUTPUT_FIELDS | names)
    yield from _template_problems("uri", route.uri, _URI_FIELDS)
    if "?" in route.uri:
        yield "uri", "takes no query: a SAS would stand in the ledger and in events"
    if "{key}" not in route.output:
        yield "output", "needs `{key}`: two attempts must never share an output"
    if not _OUTPUT.fullmatch(route.output):
        yield (
            "output",
            "must be names of `[A-Za-z0-9._-]` and {…} with `/` between them, a literal one first",
        )


def _pattern_problems(field: str, glob: str) -> Iterator[tuple[str, str]]:
    if glob.startswith("/") or not literal_beginning(glob):
        yield field, "must begin with a literal folder, without a slash before it"
    try:
        names = names_in(glob)
    except ValueError as mistake:
        yield field, str(mistake)
    else:
        if len(names) != len(set(names)):
            yield field, "uses one {name} twice"


def _folder_problems(route: Route) -> Iterator[tuple[str, str]]:
    if route.input == "file":
        if route.ready:
            yield "ready", 'goes with input = "folder" only'
        return
    if not route.ready:
        yield "ready", 'a folder needs one, e.g. ready = { marker = "landing/{batch}.done" }'
        return
    if not route.folder or re.search(r"[*?]", route.folder):
        yield "match", "the folder may hold literals and {name} only, e.g. landing/{batch}/*.png"
    missing = set(names_in(route.folder)) - set(names_in(route.ready.marker))
    if missing:
        yield "ready.marker", f"must name {{{min(missing)}}}, which the folder depends on"


def _template_problems(
    field: str, template: str, known: frozenset[str]
) -> Iterator[tuple[str, str]]:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as mistake:
        yield field, str(mistake)
        return
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in known:
            yield field, f"knows no {{{name}}}, only {', '.join(sorted(known))}"
        if form or conversion:
            yield field, f"{{{name}}} takes no format"
