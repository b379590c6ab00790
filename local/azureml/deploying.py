"""Makes a `Deployment`, which can score, from the body of a PUT."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath

import msgspec

from local.azureml.endpoint_bodies import DeploymentProperties, OutputAction
from local.azureml.reading import InvalidBody, Mistake
from local.azureml.references import referenced
from local.azureml.resources import Resource, Resources
from local.azureml.workspace import Deployment, Registered, Settings

_CODE = "properties.codeConfiguration.codeId"
_SCRIPT = "properties.codeConfiguration.scoringScript"
_MODEL = "properties.model.assetId"
_TIMEOUT = "properties.retrySettings.timeout"


def deployment_of(name: str, properties: DeploymentProperties, resources: Resources) -> Deployment:
    """Return the deployment that a body describes.

    Raises:
        InvalidBody: a value is missing or invalid, or a reference names nothing.
    """
    found: dict[str, Resource] = {}
    mistakes = list(_mistakes(properties))
    for target, kind, arm_id in _references(properties):
        try:
            found[kind] = referenced(resources, arm_id, kind, target)
        except InvalidBody as refusal:
            mistakes.extend(refusal.mistakes)
    if mistakes:
        raise InvalidBody(*mistakes)
    assert properties.code_configuration
    code, model = found["codes"], found.get("models")
    return Deployment(
        name=name,
        code=Registered(key=code.key, uri=code.body.properties.code_uri, folder=True),
        script=properties.code_configuration.scoring_script,
        model=Registered(key=model.key, uri=model.body.properties.model_uri, folder=False)
        if model
        else None,
        settings=_settings(properties),
        environment_variables=properties.environment_variables or {},
    )


def _references(properties: DeploymentProperties) -> Iterator[tuple[str, str, str]]:
    """Yield the references in a body: the field, the kind of resource, and the ARM id."""
    if properties.code_configuration and properties.code_configuration.code_id:
        yield _CODE, "codes", properties.code_configuration.code_id
    if properties.model:
        yield _MODEL, "models", properties.model.asset_id
    if properties.environment_id:
        yield "properties.environmentId", "environments", properties.environment_id
    if properties.compute:
        yield "properties.compute", "computes", properties.compute


def _mistakes(properties: DeploymentProperties) -> Iterator[Mistake]:
    """Yield the mistakes that the type of the body does not exclude."""
    for target, value in (
        (_CODE, properties.code_configuration and properties.code_configuration.code_id),
        ("properties.environmentId", properties.environment_id),
        ("properties.compute", properties.compute),
    ):
        if not value:
            message = f"{target} is required for a deployment that runs a scoring script"
            yield Mistake("MissingProperty", message, target)
    if properties.code_configuration:
        script = PurePosixPath(properties.code_configuration.scoring_script)
        if script.is_absolute() or ".." in script.parts:
            message = f"{_SCRIPT}: {str(script)!r} is not within the folder of the code"
            yield Mistake("InvalidValue", message, _SCRIPT)
    if not _timeout(properties):
        message = f"{_TIMEOUT}: {properties.retry_settings.timeout!r} is not a duration above zero"
        yield Mistake("InvalidValue", message, _TIMEOUT)


def _settings(properties: DeploymentProperties) -> Settings:
    appends = properties.output_action is OutputAction.APPEND
    return Settings(
        mini_batch_size=properties.mini_batch_size,
        max_retries=properties.retry_settings.max_retries,
        timeout=_timeout(properties),
        error_threshold=properties.error_threshold,
        output_action="append_row" if appends else "summary_only",
        output_file_name=properties.output_file_name,
    )


def _timeout(properties: DeploymentProperties) -> timedelta:
    try:
        return msgspec.convert(properties.retry_settings.timeout, timedelta)
    except msgspec.ValidationError:
        return timedelta(0)
