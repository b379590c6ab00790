"""Endpoints and deployments from a folder of YAML files in the schema of the Azure ML CLI v2.

Each sub-folder is an endpoint: an optional `endpoint.yml`, and in it or one level deeper a YAML
file for each deployment. Fields that mean nothing on one machine (compute, environment,
resources, concurrency) are passed over, and so are YAML files that are neither.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from local.azureml.workspace import Count, Deployment, Endpoint, Positive, Settings

_ENDPOINT_FILE = "endpoint.yml"

T = TypeVar("T")


class DeploymentFileError(ValueError):
    """A YAML file that cannot be used; the message names the file, the field and what to do."""


class _Defaults(msgspec.Struct):
    deployment_name: str | None = None


class _EndpointFile(msgspec.Struct):
    name: str | None = None
    description: str = ""
    defaults: _Defaults = msgspec.field(default_factory=_Defaults)


class _Model(msgspec.Struct):
    path: str


class _Code(msgspec.Struct):
    code: str
    scoring_script: str


class _RetrySettings(msgspec.Struct):
    max_retries: Count = 3
    timeout: Positive = 30  # seconds


class _DeploymentFile(msgspec.Struct):
    name: str
    code_configuration: _Code
    endpoint_name: str | None = None
    type: str = "model"
    model: _Model | str | None = None
    environment_variables: dict[str, Any] = {}
    retry_settings: _RetrySettings = msgspec.field(default_factory=_RetrySettings)


def read(folder: Path) -> dict[str, Endpoint]:
    """Return the endpoints of a folder, by name.

    Raises:
        DeploymentFileError: something in it cannot be used.
    """
    if not folder.is_dir():
        raise DeploymentFileError(f"{folder}: there is no such folder of deployments")
    endpoints: dict[str, Endpoint] = {}
    for path in filter(_may_be_endpoint, sorted(folder.iterdir())):
        endpoint = _endpoint(path)
        if endpoint.name in endpoints:
            raise DeploymentFileError(
                f"{path}: endpoint {endpoint.name!r} exists already: rename it"
            )
        endpoints[endpoint.name] = endpoint
    return endpoints


def _may_be_endpoint(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _endpoint(folder: Path) -> Endpoint:
    file = folder / _ENDPOINT_FILE
    said = _converted(file, _document(file) if file.exists() else {}, _EndpointFile)
    endpoint = Endpoint(name=said.name or folder.name, description=said.description)
    for path, document in _deployment_files(folder):
        deployment = _deployment(path, document, endpoint.name)
        if deployment.name in endpoint.deployments:
            raise DeploymentFileError(
                f"{path}: name: {deployment.name!r} exists already: rename it"
            )
        endpoint.deployments[deployment.name] = deployment
    if not endpoint.deployments:
        raise DeploymentFileError(
            f"{folder}: no deployment: add a YAML file with name, endpoint_name"
            " and code_configuration"
        )
    endpoint.default_deployment = _default(file, said.defaults.deployment_name, endpoint)
    return endpoint


def _default(file: Path, wanted: str | None, endpoint: Endpoint) -> str | None:
    names = list(endpoint.deployments)
    if wanted is None:
        return names[0] if len(names) == 1 else None
    if wanted not in names:
        raise DeploymentFileError(
            f"{file}: defaults.deployment_name: no deployment {wanted!r}: name one of {names}"
        )
    return wanted


def _deployment_files(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for pattern in ("*.y*ml", "*/*.y*ml"):
        for path in sorted(folder.glob(pattern)):
            document = {} if path == folder / _ENDPOINT_FILE else _document(path)
            schema = str(document.get("$schema", ""))
            if "atchDeployment" in schema or {"code_configuration", "endpoint_name"} & {*document}:
                yield path, document


def _deployment(file: Path, document: dict[str, Any], endpoint: str) -> Deployment:
    document = {**document, **_mapping(document.get("settings"))}  # at the top in the older form
    said = _converted(file, document, _DeploymentFile)
    if said.type != "model":
        raise DeploymentFileError(f"{file}: type: only 'model' runs here, not {said.type!r}")
    if said.endpoint_name not in (None, endpoint):
        raise DeploymentFileError(
            f"{file}: endpoint_name: {said.endpoint_name!r}, but the endpoint of this folder is"
            f" {endpoint!r}: rename one, or name the endpoint in {_ENDPOINT_FILE}"
        )
    code = _existing(file, "code_configuration.code", said.code_configuration.code)
    script = said.code_configuration.scoring_script
    _existing(file, "code_configuration.scoring_script", str(code / script))
    return Deployment(
        name=said.name,
        code=code,
        script=script,
        model=_model(file, said.model),
        settings=_settings(file, document, said.retry_settings),
        environment_variables={k: str(v) for k, v in said.environment_variables.items()},
    )


def _model(file: Path, model: _Model | str | None) -> Path | None:
    if isinstance(model, str):
        raise DeploymentFileError(
            f"{file}: model: {model!r} is registered in a workspace: give its files here,"
            " as `model: {path: …}`"
        )
    return None if model is None else _existing(file, "model.path", model.path)


def _settings(file: Path, document: dict[str, Any], retries: _RetrySettings) -> Settings:
    known = {name: document[name] for name in Settings.__struct_fields__ if name in document}
    tries = {"max_retries": retries.max_retries, "timeout": retries.timeout}
    return _converted(file, {**known, **tries}, Settings)


def _existing(file: Path, field: str, path: str) -> Path:
    found = (file.parent / path).resolve()
    if not found.exists():
        raise DeploymentFileError(f"{file}: {field}: {found} does not exist")
    return found


def _document(file: Path) -> dict[str, Any]:
    try:
        return _mapping(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as mistake:
        raise DeploymentFileError(f"{file}: no YAML: {mistake}") from None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _converted(file: Path, document: dict[str, Any], to: type[T]) -> T:
    try:
        return msgspec.convert(document, to, strict=False)
    except msgspec.ValidationError as mistake:
        raise DeploymentFileError(f"{file}: {mistake}") from None
