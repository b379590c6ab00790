"""The body of an invocation: input, output and settings."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from local.azureml.uris import input_place, output_place
from local.azureml.workspace import Count, FileName, Positive, Settings, Threshold, Workspace

_KINDS = {"urifile": "UriFile", "urifolder": "UriFolder"}


class Mistake(msgspec.Struct, frozen=True, rename="pascal"):
    """One mistake in a request."""

    property_name: str
    error_message: str
    attempted_value: Any = None
    error_code: str = "InvalidValue"


class InvalidInvocation(Exception):
    """The body is refused."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.error_message)
        self.mistake = mistake


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """An input or an output, as requested."""

    name: str
    kind: str
    uri: str


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """A valid body."""

    pascal: bool  # whether it is in PascalCase, as the answer then is
    input: Data
    output: Data | None  # None: the endpoint chooses
    settings: Settings
    description: str
    tags: dict[str, str]


class _RetrySettings(msgspec.Struct, frozen=True, rename="camel"):
    max_retries: Count | msgspec.UnsetType = msgspec.UNSET
    timeout: timedelta | msgspec.UnsetType = msgspec.UNSET


class _JobSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Settings that a job may override; others (concurrency, logging level, …) are ignored."""

    mini_batch_size: Positive | msgspec.UnsetType = msgspec.UNSET
    error_threshold: Threshold | msgspec.UnsetType = msgspec.UNSET
    output_file_name: FileName | msgspec.UnsetType = msgspec.UNSET
    retry_settings: _RetrySettings = _RetrySettings()
    description: str | None = None
    tags: dict[str, str] | None = None


def read(
    body: bytes, workspace: Workspace, settings: Settings, *, decode_percent: bool
) -> Invocation:
    """Read a body in PascalCase or camelCase, for a deployment with these settings.

    Raises:
        InvalidInvocation: it is not JSON, or not valid for a model deployment.
    """
    properties = _properties(body)
    pascal = "InputData" in properties or "OutputData" in properties
    properties = _camel(properties)
    wanted = _job_settings(properties)
    return Invocation(
        pascal=pascal,
        input=_input(properties, workspace, decode_percent=decode_percent),
        output=_output(properties, workspace, decode_percent=decode_percent),
        settings=_overridden(settings, wanted),
        description=wanted.description or "",
        tags=wanted.tags or {},
    )


def _properties(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError as mistake:
        raise _refused("", f"The request body is not JSON: {mistake}") from None
    properties = _camel(document).get("properties") if isinstance(document, dict) else None
    if not isinstance(properties, dict):
        raise _refused("properties", "The field properties is required.")
    return properties


def _input(properties: Mapping[str, Any], workspace: Workspace, *, decode_percent: bool) -> Data:
    name, entry = _the_only(properties, "inputData")
    kind, uri = str(entry.get("jobInputType")), entry.get("uri")
    field = f"properties.inputData.{name}"
    if kind.lower() not in _KINDS:
        message = f"Job input type {kind!r} is not supported by a model deployment."
        raise _refused(f"{field}.jobInputType", message, kind)
    data = Data(name=name, kind=_KINDS[kind.lower()], uri=_text(f"{field}.uri", uri))
    try:
        input_place(data.uri, data.kind, workspace, decode_percent=decode_percent)
    except ValueError as mistake:
        raise _refused(f"{field}.uri", str(mistake), uri) from None
    return data


def _output(
    properties: Mapping[str, Any], workspace: Workspace, *, decode_percent: bool
) -> Data | None:
    if not properties.get("outputData"):
        return None
    name, entry = _the_only(properties, "outputData")
    kind, uri = entry.get("jobOutputType"), entry.get("uri")
    field = f"properties.outputData.{name}"
    if str(kind).lower() != "urifile":
        raise _refused(f"{field}.jobOutputType", "Job output type must be 'uri_file'", kind)
    data = Data(name=name, kind="UriFile", uri=_text(f"{field}.uri", uri))
    try:
        output_place(data.uri, workspace, decode_percent=decode_percent)
    except ValueError as mistake:
        raise _refused(f"{field}.uri", str(mistake), uri) from None
    return data


def _the_only(properties: Mapping[str, Any], field: str) -> tuple[str, dict[str, Any]]:
    """Return name and value of the only entry in inputData or outputData."""
    entries = properties.get(field)
    if not isinstance(entries, dict) or len(entries) != 1:
        message = f"A model deployment takes exactly one entry in {field}."
        raise _refused(f"properties.{field}", message, entries)
    ((name, value),) = entries.items()
    if not isinstance(value, dict):
        raise _refused(f"properties.{field}.{name}", "An object is required.", value)
    return name, _camel(value)


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _refused(field, "A URI is required.", value)
    return value


def _job_settings(properties: dict[str, Any]) -> _JobSettings:
    retries = properties.get("retrySettings")
    if isinstance(retries, dict):
        properties = {**properties, "retrySettings": _camel(retries)}
    given = {name: value for name, value in properties.items() if value is not None}
    try:
        return msgspec.convert(given, _JobSettings)
    except msgspec.ValidationError as mistake:
        raise _refused("properties", str(mistake)) from None


def _overridden(settings: Settings, wanted: _JobSettings) -> Settings:
    overrides = {
        "mini_batch_size": wanted.mini_batch_size,
        "error_threshold": wanted.error_threshold,
        "output_file_name": wanted.output_file_name,
        "max_retries": wanted.retry_settings.max_retries,
        "timeout": wanted.retry_settings.timeout,
    }
    given = {name: value for name, value in overrides.items() if value is not msgspec.UNSET}
    return msgspec.structs.replace(settings, **given)


def _camel(document: dict[str, Any]) -> dict[str, Any]:
    return {name[:1].lower() + name[1:]: value for name, value in document.items()}


def _refused(field: str, message: str, value: Any = None) -> InvalidInvocation:
    return InvalidInvocation(Mistake(field, message, value))
