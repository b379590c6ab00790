"""Why a service refused, or a batch job failed: the sentences of its answer, the closest first.

Azure ML, Resource Manager and the gateways before them put them in many places:

    {"error": {"code", "message", "details": […], "innererror": {…}}}      also without `error`
    {"error": "invalid_request", "error_description": "…"}
    [{"PropertyName", "ErrorMessage"}]
    {"title", "detail", "errors": {"<field>": ["…"]}}                       ProblemDetails
    {"Message": "…"}, and a document as text in any of these
    plain text, HTML, XML
"""

import html
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import msgspec

from scoring.azure.answers import document_in, json_in

_LONGEST = 500  # characters
_MOST = 20  # sentences
_DEEPEST = 40  # levels; an error of another service stands as text in Azure ML's own

_AROUND = ("details", "innererror", "errors", "error", "odata.error")
"""Fields that hold errors. What lies deeper says more, and goes before the fields around it."""
_SENTENCES = (
    "errormessage",
    "exceptionmessage",
    "noncompliant",
    "message",
    "error_description",
    "detail",
    "description",
    "reason",
    "title",
    "error",
    "value",
)
"""Fields that hold a sentence; the first that is there says it."""
_ABOUT = ("propertyname", "target", "field")
"""Fields that name what a sentence is about. `target` may hold an address, which is no name."""
_CODES = ("code", "errorcode", "error")

_NAME = re.compile(r"[A-Za-z][\w.\[\]-]{0,79}")
_TITLE = re.compile(r"<(title|message|h1)\b[^>]{0,200}>([^<]{1,2000})<", re.IGNORECASE)


class Sentence(NamedTuple):
    """What an error says."""

    text: str
    about: str = ""
    code: str = ""


def what_it_says(answer: httpx.Response) -> str:
    """Return the reason that an error answer gives, in one line; empty: none."""
    text = answer.content[: 40 * _LONGEST].decode("utf-8", "replace")
    return reason_in(json_in(answer)) or _one_line(_of_markup(text))


def reason_in(document: Any, *, codes: bool = True) -> str:
    """Return the reason that a document gives, in one line; empty: none."""
    said: list[str] = []
    for sentence in _sentences(document, _DEEPEST):
        text = _one_line(sentence.text)
        before = sentence.about or (sentence.code if codes else "")
        if not any(text in other for other in said):
            said.append(f"{before}: {text}" if before not in ("", text) else text)
        if len(said) == _MOST:
            break
    return _one_line("; ".join(said))


def why_it_failed(error: Any) -> str:
    """Return the reason in a batch job's error; else the error itself, cut."""
    if not error:
        return ""
    try:
        return reason_in(error, codes=False) or _one_line(msgspec.json.encode(error).decode())
    except RecursionError:
        return ""


def _sentences(value: Any, levels: int) -> Iterator[Sentence]:
    if levels == 0:
        return
    if isinstance(value, str):
        yield from _of_text(value, levels - 1)
    elif isinstance(value, list):
        for one in value:
            yield from _sentences(one, levels - 1)
    elif isinstance(value, dict):
        yield from _of_fields({name.lower(): one for name, one in value.items()}, levels - 1)


def _of_fields(fields: dict[str, Any], levels: int) -> Iterator[Sentence]:
    for name in _AROUND:
        inner = fields.get(name)
        if name == "errors" and isinstance(inner, dict):
            yield from _of_problem(inner, levels)
        elif isinstance(inner, dict | list):
            yield from _sentences(inner, levels)
    # An error that is a document was gone through above: twice at each level would take for ever.
    fields = {name: one for name, one in fields.items() if name != "error" or isinstance(one, str)}
    sentence = next((fields[name] for name in _SENTENCES if fields.get(name)), None)
    about, code = _first(fields, _ABOUT), _first(fields, _CODES)
    for one in list(_sentences(sentence, levels)) or [Sentence(code)] * bool(code):
        yield one._replace(about=one.about or about, code=one.code or code)


def _of_problem(errors: dict[str, Any], levels: int) -> Iterator[Sentence]:
    """Yield the sentences of ProblemDetails, each after the name of its field."""
    for field, inner in errors.items():
        for sentence in _sentences(inner, levels):
            yield sentence._replace(about=_name(field.lstrip("$.")))


def _of_text(text: str, levels: int) -> Iterator[Sentence]:
    """Yield a sentence, or those of the document that stands as text in its place."""
    inner = document_in(text) if text.lstrip().startswith(("{", "[")) else None
    yield from list(_sentences(inner, levels)) or [Sentence(text)] * bool(text.strip())


def _first(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    return next(filter(None, (_name(fields.get(name)) for name in names)), "")


def _name(value: Any) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def _of_markup(text: str) -> str:
    """Return the title of HTML, the message of XML, or the text as it is."""
    if text.lstrip("\ufeff \t\r\n")[:1] != "<":
        return text
    found = _TITLE.search(text)
    return html.unescape(found[2]) if found else re.sub(r"<[^<>]{0,500}>", " ", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
