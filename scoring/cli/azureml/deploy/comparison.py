"""Compares an existing resource with the wanted one; the service spells some values differently."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import msgspec
import yaml

from scoring.uris import same_datastore_path

_IN_ANY_CASE = frozenset(
    {
        "authMode",
        "computeType",
        "dataType",
        "loggingLevel",
        "modelType",
        "osType",
        "outputAction",
        "referenceType",
        "remoteLoginPortPublicAccess",
        "vmPriority",
        "vmSize",
        *("assetId", "codeId", "compute", "deploymentName", "environmentId", "location"),
    }
)
"""Fields that ARM compares without case: enumerations, ids and names."""

_DEFAULTS: dict[str, Any] = {
    "description": "",
    "environmentVariables": {},
    "errorThreshold": -1,
    "loggingLevel": "Info",
    "maxConcurrencyPerInstance": 1,
    "miniBatchSize": 10,
    "outputAction": "AppendRow",
    "outputFileName": "predictions.csv",
    "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
}
"""The defaults of endpoints and deployments, by the CLI's YAML reference."""

_URIS = frozenset({"codeUri", "dataUri", "modelUri"})
_DURATIONS = frozenset({"nodeIdleTimeBeforeScaleDown", "timeout"})
_UPLOAD = re.compile(r"/LocalUpload/(?P<digest>[0-9a-f]{64})/(?P<name>[^/]+)")


def covers(there: Any, wanted: Any, field: str = "") -> bool:
    """Return whether everything that is wanted is there; there may be more."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(
            name in there and covers(there[name], value, name) for name, value in wanted.items()
        )
    if there is None or isinstance(there, dict):
        return False
    if isinstance(wanted, bool) or isinstance(there, bool):
        return bool(there == wanted)
    return _same(str(there), str(wanted), field)


def leaves_behind(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Return whether a PUT would remove something that is there.

    The service's defaults do not count. Nor do tags if none are wanted: policies set some.
    """
    tags = wanted.get("tags")
    more_tags = tags is not None and not set(there.get("tags") or {}) <= set(tags)
    return more_tags or _more_than(there.get("properties"), wanted.get("properties"), _DEFAULTS)


def _more_than(there: Any, wanted: Any, defaults: Any, field: str = "") -> bool:
    if not isinstance(defaults, dict):
        return wanted is None and there is not None and not covers(there, defaults, field)
    there, wanted = there or {}, wanted or {}
    if not defaults:  # a mapping with the user's own names
        return not set(there) <= set(wanted)
    return any(_more_than(there.get(n), wanted.get(n), defaults[n], n) for n in defaults)


def _same(there: str, wanted: str, field: str) -> bool:
    if field in _URIS:
        return same_uri(there, wanted, named=field != "codeUri")
    if field in _DURATIONS:
        return _duration(there) == _duration(wanted)
    if field == "condaFile":
        return there == wanted or _yaml(there) == _yaml(wanted)
    if field == "location":  # "West Europe" is westeurope
        there, wanted = there.replace(" ", ""), wanted.replace(" ", "")
    if field in _IN_ANY_CASE:
        return _plain(there) == _plain(wanted)
    return there == wanted


def same_uri(one: str, other: str, *, named: bool = True) -> bool:
    """Return whether two URIs name the same content.

    Uploads of these commands are compared by the digest in their path. The name of the folder
    counts if it is `named`: a script may use a model's folder by its name, but not its own.
    """
    left, right = (_UPLOAD.search(unquote(uri)) for uri in (one, other))
    if left and right:
        return left["digest"] == right["digest"] and (not named or left["name"] == right["name"])
    return one.rstrip("/") == other.rstrip("/") or same_datastore_path(one, other)


def _plain(text: str) -> str:
    return text.lower().removeprefix("azureml:").rstrip("/")


def _duration(text: str) -> timedelta | str:
    try:
        return msgspec.convert(text, timedelta)
    except msgspec.ValidationError:
        return text


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
