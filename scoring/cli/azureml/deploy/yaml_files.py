"""Reading files of the Azure ML CLI v2: all mistakes of all of them at once."""

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
_TELLING: tuple[tuple[frozenset[str], type[Document]], ...] = (
    (frozenset({"endpoint_name"}), Deployment),
    (frozenset({"auth_mode", "defaults"}), Endpoint),
    (frozenset({"image", "conda_file", "build"}), Environment),
    (frozenset({"size", "min_instances", "max_instances", "tier"}), Compute),
    (frozenset({"flavors"}), Model),
)
"""Fields that only one kind has."""

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, kw_only=True)
class YamlFile:
    """A file, and what it says."""

    path: Path
    document: Document

    def local(self, said: str) -> Path:
        """Return a path that is relative to the file."""
        return self.path.parent / said


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read from files, and what is to be said of it."""

    files: list[YamlFile]
    warnings: list[str]


def read(paths: Iterable[Path]) -> Reading:
    """Read files.

    Raises:
        UsageError: there are mistakes; it names all.
    """
    reader, files = _Reader(), []
    for path in paths:
        document = reader.file(path)
        if document is not None:
            files.append(YamlFile(path=path, document=document))
    refuse(reader.mistakes)
    return Reading(files=files, warnings=reader.warnings)


def refuse(mistakes: list[str]) -> None:
    """Raise UsageError if there are mistakes, with all of them."""
    if mistakes:
        head = "" if len(mistakes) == 1 else f"{len(mistakes)} mistakes:\n"
        raise UsageError(head + "\n".join(mistakes), mistakes=mistakes)


class _Loader(yaml.SafeLoader):
    """Takes a date for text: versions may look like one."""


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
            said = _load(path)
            return self._part(f"{path}: ", said, _kind(path, said))
        except _Mistake as mistake:
            self.mistakes.append(str(mistake))
            return None

    def _part(self, at: str, said: dict[str, Any], kind: type[P]) -> P | None:
        """Read a mapping; None: there are mistakes."""
        before, values = len(self.mistakes), {}
        for name, value in said.items():
            known = _fields(kind).get(str(name))
            if name in kind.refused:
                self._mistake(f"{at}{name}", f"cannot be honoured: {kind.refused[name]}")
            elif known is not None:
                values[name] = self._value(f"{at}{name}", value, known)
            elif name not in kind.passed_over:
                close = difflib.get_close_matches(str(name), [*_fields(kind), *kind.refused], 1)
                meant = f": did you mean {close[0]}?" if close else ""
                self.warnings.append(f"{at}{name}: is not known and has no effect{meant}")
        for one in msgspec.structs.fields(kind):
            if one.required and one.name not in said:
                self._mistake(f"{at}{one.name}", "is missing")
        if len(self.mistakes) > before:
            return None
        part = kind(**{name: value for name, value in values.items() if value is not None})
        for where, what in part.mistakes():
            self._mistake(f"{at}{where}", what)
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

    def _mistake(self, at: str, what: str) -> None:
        self.mistakes.append(f"{at}: {what}")


class _Mistake(Exception):
    """Nothing more can be read of a file."""


def _load(path: Path) -> dict[str, Any]:
    try:
        said = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as failure:
        raise _Mistake(f"{path}: {failure.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as mistake:
        raise _Mistake(f"{path}: no YAML: {' '.join(str(mistake).split())}") from None
    if not isinstance(said, dict):
        raise _Mistake(f"{path}: must be a mapping of fields")
    return said


def _kind(path: Path, said: dict[str, Any]) -> type[Document]:
    known = ", ".join(_SCHEMAS)
    schema = str(said.get("$schema", "")).rpartition("/")[2].removesuffix(".schema.json")
    if schema in _SCHEMAS:
        return _SCHEMAS[schema]
    if schema:
        raise _Mistake(f"{path}: $schema: {schema!r} is none of {known}")
    if said.get("type") in _TYPES:
        return _TYPES[str(said["type"])]
    for fields, kind in _TELLING:
        if fields & {*said}:
            return kind
    raise _Mistake(f"{path}: does not tell what it is: add $schema: …/NAME.schema.json of {known}")


def _fields(kind: type[Part]) -> dict[str, Any]:
    return {one.name: one.type for one in msgspec.structs.fields(kind)}


def _part_of(kind: Any) -> type[Part] | None:
    """Return the struct that a field may hold."""
    return next((one for one in _choices(kind) if _is_part(one)), None)


def _choices(kind: Any) -> Iterator[Any]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        yield from typing.get_args(kind)
    else:
        yield kind


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)
