"""What a route may say: a sentence for each rule that it breaks."""

import math
import re
import string
from collections.abc import Callable, Hashable, Iterator
from datetime import timedelta

import msgspec

from scoring.routes.matching import names_in
from scoring.routes.patterns import literal_beginning
from scoring.routes.route import Ready, Route, SubmissionFields
from scoring.uris import has_dot_segment

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_AZURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OUTPUT = re.compile(r"[A-Za-z0-9._-]+(?:/(?:[A-Za-z0-9._-]|\{\w+\})+)+")
_DOT_AT_AN_END = re.compile(r"(?:^|/)\.|\.(?:/|$)")
_URI = re.compile(r"(?:azureml:|https:)//(?![^/]*(?:@|\{path))[^?#\s\\]+")
_OUTPUT_FIELDS = frozenset({"date", "key", "route", "stem"})
_NO_DOTS = "no name in it may be `.` or `..`, also not percent-encoded: write the place itself"
_URI_FIELDS = frozenset({"datastore", "path", "container"})
_SHORTEST_QUIET = timedelta(seconds=2)
MARKER_OR_QUIET = '{ marker = "landing/{batch}.done" } or { quiet = "5m", at_most = "1h" }'


def problems(route: Route) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that a route breaks."""
    yield from _name_problems(route)
    if route.max_attempts < 1:
        yield "max_attempts", "must be at least 1"
    yield from _pattern_problems("match", route.match)
    yield from _folder_problems(route)
    yield from _output_problems(route)
    yield from _template_problems("uri", route.uri, _URI_FIELDS)
    yield from _uri_problems(route.uri)
    yield from submission_problems(route)


def is_name(name: object) -> bool:
    """Tell whether a route may have this name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _name_problems(route: Route) -> Iterator[tuple[str, str]]:
    if not is_name(route.name):
        yield "name", "use lower-case letters, digits and `-`, at most 63, the first no `-`"
    for field in ("datastore", "endpoint", "deployment"):
        name = getattr(route, field)
        if name is not None and not _AZURE_NAME.fullmatch(name):
            yield field, "use letters, digits and `._-`, the first a letter or digit"


def _uri_problems(uri: str) -> Iterator[tuple[str, str]]:
    if "?" in uri:
        yield "uri", "takes no query: a SAS would stand in the ledger and in events"
    if not _URI.fullmatch(uri):
        yield (
            "uri",
            "must be an azureml:// or https:// URI without a password or a path in its host",
        )
    if has_dot_segment(uri):
        yield "uri", _NO_DOTS
    if "{path}" not in uri.replace("{{", ""):
        yield "uri", "needs `{path}`: else each job would score the same input"


def _output_problems(route: Route) -> Iterator[tuple[str, str]]:
    if route.output_kind == "none":
        if route.output:
            yield "output", 'does not go with output_kind = "none": leave one of them out'
        if route.output_name != "output":
            yield "output_name", "there is no output to name: leave it out"
        if route.receipt:
            yield "receipt", "there is no output to lie beside: leave it out"
        return
    if not route.output:
        yield "output", "is missing"
    names = frozenset(names_in(route.folder if route.gathers else route.trigger))
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
    if has_dot_segment(glob):
        yield field, _NO_DOTS
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
        of_folders = {"ready": None, "late": "score", "minimum_gap": None}
        for field, default in of_folders.items():
            if getattr(route, field) != default:
                yield field, 'goes with input = "folder" only'
        return
    if route.on_empty != "reject":
        yield "on_empty", 'goes with input = "file" only: a folder without files is rejected'
    if not route.ready:
        yield "ready", f"a folder needs one, e.g. {MARKER_OR_QUIET}"
        return
    if not route.folder:
        yield "match", "names no folder: write it before the files, e.g. landing/{batch}/*.png"
    if re.search(r"[*?]", route.folder):
        yield "match", "the folder may hold literals and {name} only, e.g. landing/{batch}/*.png"
    of_ready = _quiet_problems if route.gathers else _marker_problems
    yield from of_ready(route, route.ready)


def _marker_problems(route: Route, ready: Ready) -> Iterator[tuple[str, str]]:
    marker = ready.marker
    yield from _pattern_problems("ready.marker", marker)
    missing = set(names_in(route.folder)) - set(names_in(marker))
    if missing:
        yield "ready.marker", f"must name {{{min(missing)}}}, which the folder depends on"
    if ready.quiet or ready.at_most:
        yield (
            "ready",
            f"a folder is ready by a marker or by being quiet, not both: {MARKER_OR_QUIET}",
        )
    if route.late == "ignore":
        yield "late", "goes with ready = { quiet = … }: a marker says itself when it is late"


def _quiet_problems(route: Route, ready: Ready) -> Iterator[tuple[str, str]]:
    if not ready.quiet or not ready.at_most:
        yield "ready", f"needs a marker, or both of quiet and at_most: {MARKER_OR_QUIET}"
    elif ready.quiet < _SHORTEST_QUIET:
        yield "ready.quiet", "must be at least 2 seconds: storage times are whole seconds"
    elif ready.at_most < ready.quiet:
        yield "ready.at_most", "must not be shorter than quiet"
    if "**" in route.match:
        yield "match", "takes the files directly in a folder: no `**` with ready = { quiet = … }"
    if route.on_overwrite == "ignore":
        yield (
            "on_overwrite",
            'does not go with ready = { quiet = … }: late = "ignore" does that there',
        )


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


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """Why a route is left out."""

    route: str  # its name, or its place in the file
    field: str
    problem: str
    named: bool = True  # `route` is its name

    def __str__(self) -> str:
        return f"routes.toml: route {self.route}: {self.field}: {self.problem}"


def without_loops(
    routes: list[Route], place: Callable[[Route], Hashable], mistakes: list[Mistake]
) -> tuple[list[Route], list[Mistake]]:
    """Leave out each route whose output could be taken for the input of any route.

    `place` says which container a route works in, as far as that is known.
    """
    looping = {
        route.name: Mistake(route=route.name, field="output", problem=_loop(route, other))
        for route in routes
        for other in routes
        if place(route) == place(other) and _overlap(route, other)
    }
    return (
        [route for route in routes if route.name not in looping],
        [*mistakes, *looping.values()],
    )


def _overlap(route: Route, other: Route) -> bool:
    if not route.output:
        return False
    output = literal_beginning(route.output)
    inputs = [literal_beginning(glob) for glob in (other.match, other.trigger)]
    return any(output.startswith(one) or one.startswith(output) for one in inputs)


def _loop(route: Route, other: Route) -> str:
    looks = " and ".join(dict.fromkeys(map(repr, (other.match, other.trigger))))
    return (
        f"{route.output!r} may lie where route {other.name!r} looks for input"
        f" ({looks}): let the two begin with different folders"
    )


_DATA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NAMED_SO = "use letters, digits and `_`, the first a letter"
_LEAST = {"instance_count": 1, "mini_batch_size": 1, "error_threshold": -1, "max_retries": 0}
_LARGEST_SETTING = 2**31 - 1
_LARGEST_NUMBER = 2**63 - 1  # that comes back from the ledger as it was


def submission_problems(asked: SubmissionFields) -> Iterator[tuple[str, str]]:
    """Yield the field and the problem of each rule that these fields break."""
    for field in ("input_name", "output_name"):
        if not _DATA_NAME.fullmatch(getattr(asked, field)):
            yield field, _NAMED_SO
    yield from _param_problems(asked)
    for field, least in _LEAST.items():
        value = getattr(asked, field)
        if value is not None and not least <= value <= _LARGEST_SETTING:
            yield field, f"must be at least {least} and at most {_LARGEST_SETTING}"


def _param_problems(asked: SubmissionFields) -> Iterator[tuple[str, str]]:
    for name, value in asked.params.items():
        field = f"params.{name}"
        if not _DATA_NAME.fullmatch(name):
            yield field, _NAMED_SO
        if name == asked.input_name:
            yield field, "is the name of the input, too: give one of them another"
        if isinstance(value, float) and not math.isfinite(value):
            yield field, "must be a finite number"
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            yield field, "is too large for a number: write it as text"
