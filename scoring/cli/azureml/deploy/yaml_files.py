"""Reads files of the Azure ML CLI v2, and reports all mistakes of all files at once."""

import difflib
import types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from scoring.cli.azureml.deploy.yaml_schema import (
    Compute,
    Data,
    Deployment,
    Document,
    Endpoint,
    Environment,
    Model,
    Part,
)
from scoring.cli.failures import UsageError
from scoring.field_errors import field_error

_SCHEMAS: dict[str, type[Document]] = {
    "amlCompute": Compute,
    "compute": Compute,
    "model": Model,
    "environment": Environment,
    "data": Data,
    "batchEndpoint": Endpoint,
    "batchDeployment": Deployment,
    "modelBatchDeployment": Deployment,
}
_TYPES: dict[str, type[Document]] = {
    "amlcompute": Compute,
    "custom_model": Model,
    "mlflow_model": Model,
    "triton_model": Model,
    "uri_file": Data,
    "uri_folder": Data,
    "mltable": Data,
}
_DISTINCTIVE: tuple[tuple[frozenset[str], type[Document]], ...] = (
    (frozenset({"endpoint_name"}), Deployment),
    (frozenset({"auth_mode", "defaults"}), Endpoint),
    (frozenset({"image", "conda_file", "build"}), Environment),
    (frozenset({"size", "min_instances", "max_instances", "tier"}), Compute),
    (frozenset({"flavors"}), Model),
)
"""Fields that only one kind of document has."""

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """A file that was read."""

    path: Path
    document: Document

    def local(self, relative: str) -> Path:
        """Return a path that is relative to the file."""
        return self.path.parent / relative


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The files that were read, and warnings about them."""

    files: list[YamlFile]
    warnings: list[str]


def read(paths: Iterable[Path]) -> Reading:
    """Read files.

    Raises:
        UsageError: there are mistakes; it lists all of them.
    """
    reader, files = _Reader(), []
    for path in paths:
        document = reader.file(path)
        if document is not None:
            files.append(YamlFile(path=path, document=document))
    refuse(reader.mistakes)
    return Reading(files=files, warnings=reader.warnings)


def refuse(mistakes: list[str]) -> None:
    """Raise UsageError with all mistakes, if there are any."""
    if mistakes:
        head = "" if len(mistakes) == 1 else f"{len(mistakes)} mistakes:\n"
        raise UsageError(head + "\n".join(mistakes), mistakes=mistakes)


class _Loader(yaml.SafeLoader):
    """Reads dates as text, because versions may look like dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(kw_only=True)
class _Reader:
    mistakes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def file(self, path: Path) -> Document | None:
        try:
            fields = _load(path)
            return self._part(f"{path}: ", fields, _kind(path, fields))
        except _Mistake as mistake:
            self.mistakes.append(str(mistake))
            return None

    def _part(self, at: str, fields: dict[str, Any], kind: type[P]) -> P | None:
        """Read a mapping; None if it has mistakes."""
        before, values = len(self.mistakes), {}
        for name, value in fields.items():
            known = _types(kind).get(str(name))
            if name in kind.refused:
                self._mistake(f"{at}{name}", f"is not supported: {kind.refused[name]}")
            elif known is not None:
                values[name] = self._value(f"{at}{name}", value, known)
            elif name not in kind.ignored:
                close = difflib.get_close_matches(str(name), [*_types(kind), *kind.refused], 1)
                meant = f": did you mean {close[0]}?" if close else ""
                self.warnings.append(f"{at}{name}: is unknown and has no effect{meant}")
        for field_ in msgspec.structs.fields(kind):
            if field_.required and field_.name not in fields:
                self._mistake(f"{at}{field_.name}", "is missing")
        if len(self.mistakes) > before:
            return None
        part = kind(**{name: value for name, value in values.items() if value is not None})
        for name, problem in part.mistakes():
            self._mistake(f"{at}{name}", problem)
        return part if len(self.mistakes) == before else None

    def _value(self, at: str, value: Any, kind: Any) -> Any:
        part = _part_of(kind)
        if part is not None and isinstance(value, dict):
            return self._part(f"{at}.", value, part)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as mistake:
            error = field_error(mistake)
            self._mistake(f"{at}{error.field}", error.message)
            return None

    def _mistake(self, at: str, problem: str) -> None:
        self.mistakes.append(f"{at}: {problem}")


class _Mistake(Exception):
    """A file cannot be read any further."""


def _load(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as failure:
        raise _Mistake(f"{path}: {failure.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as mistake:
        raise _Mistake(f"{path}: not YAML: {' '.join(str(mistake).split())}") from None
    if not isinstance(fields, dict):
        raise _Mistake(f"{path}: must be a mapping of fields")
    return fields


def _kind(path: Path, fields: dict[str, Any]) -> type[Document]:
    known = ", ".join(_SCHEMAS)
    schema = str(fields.get("$schema", "")).rpartition("/")[2].removesuffix(".schema.json")
    if schema in _SCHEMAS:
        return _SCHEMAS[schema]
    if schema:
        raise _Mistake(f"{path}: $schema: {schema!r} is not one of {known}")
    if fields.get("type") in _TYPES:
        return _TYPES[str(fields["type"])]
    for names, kind in _DISTINCTIVE:
        if names & {*fields}:
            return kind
    raise _Mistake(
        f"{path}: unclear what it describes: add $schema: …/NAME.schema.json, where NAME is one of"
        f" {known}"
    )


def _types(kind: type[Part]) -> dict[str, Any]:
    return {field_.name: field_.type for field_ in msgspec.structs.fields(kind)}


def _part_of(kind: Any) -> type[Part] | None:
    """Return the struct that a field of this type may have, if any."""
    return next((one for one in _choices(kind) if _is_part(one)), None)


def _choices(kind: Any) -> Iterator[Any]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        yield from typing.get_args(kind)
    else:
        yield kind


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)
