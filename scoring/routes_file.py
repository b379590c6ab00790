"""Reading `routes.toml`: all good routes, and one mistake for each of the others."""

import difflib
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from scoring.durations import read_duration
from scoring.route import Mistake, Param, Ready, Route, literal_beginning, names_in, without_loops
from scoring.submission_fields import submission_problems

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SETTING = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_AZURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MISSING = re.compile(r"missing required field `(\w+)`")
_OUTPUT = re.compile(r"[A-Za-z0-9._-]+(?:/(?:[A-Za-z0-9._-]|\{\w+\})+)+")
_DOT_AT_AN_END = re.compile(r"(?:^|/)\.|\.(?:/|$)")
_URI = re.compile(r"(?:azureml:|https:)//(?![^/]*@)[^?#\s]+")
_OUTPUT_FIELDS = frozenset({"date", "key", "route", "stem"})
_DURATIONS = frozenset({"timeout"})
_URI_FIELDS = frozenset({"datastore", "path", "container"})


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
    problem = next(_problems(route), None)
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
    if get_origin(kind) is Literal:
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
    read = dict(table)
    for field in _DURATIONS & table.keys():
        try:
            read[field] = read_duration(table[field])
        except ValueError as mistake:
            raise _FieldError(field, str(mistake)) from None
    return read


def _problems(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that a route breaks."""
    yield from _name_problems(route)
    if route.max_attempts < 1:
        yield "max_attempts", "must be at least 1"
    yield from _pattern_problems("match", route.match)
    if route.ready:
        yield from _pattern_problems("ready.marker", route.ready.marker)
    yield from _folder_problems(route)
    yield from _output_problems(route)
    yield from _template_problems("uri", route.uri, _URI_FIELDS)
    yield from _uri_problems(route.uri)
    yield from submission_problems(route)


def _name_problems(route: Route) -> Iterator[tuple[str, str]]:
    if not _NAME.fullmatch(route.name):
        yield "name", "use lower-case letters, digits and `-`, at most 63, the first no `-`"
    for field in ("datastore", "endpoint", "deployment"):
        name = getattr(route, field)
        if name is not None and not _AZURE_NAME.fullmatch(name):
            yield field, "use letters, digits and `._-`, the first a letter or digit"


def _uri_problems(uri: str) -> Iterator[tuple[str, str]]:
    if "?" in uri:
        yield "uri", "takes no query: a SAS would stand in the ledger and in events"
    if not _URI.fullmatch(uri):
        yield "uri", "must be an azureml:// or https:// URI without a password"
    if "{path}" not in uri.replace("{{", ""):
        yield "uri", "needs `{path}`: else each job would score the same input"


def _output_problems(route: Route) -> Iterator[tuple[str, str]]:
    if route.output_kind == "none":
        if route.output:
            yield "output", 'goes not with output_kind = "none": leave one of them out'
        if route.receipt:
            yield "receipt", "there is no output to lie beside: leave it out"
        return
    if not route.output:
        yield "output", "is missing"
    names = frozenset(names_in(route.trigger))
    yield from _template_problems("output", route.output, _OUTPUT_FIELDS | names)
    if "{key}" not in route.output:
        yield "output", "needs `{key}`: two attempts must never share an output"
    if not _OUTPUT.fullmatch(route.output):
        yield (
            "output",
            "must be names of `[A-Za-z0-9._-]` and {…} with `/` between them, a literal one first",
        )
    if _DOT_AT_AN_END.search(route.output):
        yield "output", "no name in it may begin or end with a dot"


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
        for name in sorted(_OUTPUT_FIELDS.intersection(names)):
            yield field, f"{{{name}}} has a meaning of its own in outputs: choose another name"
    if re.search(r"[^/]\*\*|\*\*[^/]", glob):
        yield field, "`**` stands for whole folders: only slashes may be beside it"


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
