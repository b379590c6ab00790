"""From the body of a deployment to that which scores."""

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


def deployment_of(name: str, said: DeploymentProperties, resources: Resources) -> Deployment:
    """Return the deployment that a body asks for.

    Raises:
        InvalidBody: it names what is not there.
    """
    found: dict[str, Resource] = {}
    mistakes = list(_mistakes(said))
    for target, kind, arm_id in _references(said):
        try:
            found[kind] = referenced(resources, arm_id, kind, target)
        except InvalidBody as refusal:
            mistakes.extend(refusal.mistakes)
    if mistakes:
        raise InvalidBody(*mistakes)
    assert said.code_configuration
    code, model = found["codes"], found.get("models")
    return Deployment(
        name=name,
        code=Registered(key=code.key, uri=code.body.properties.code_uri, folder=True),
        script=said.code_configuration.scoring_script,
        model=Registered(key=model.key, uri=model.body.properties.model_uri, folder=False)
        if model
        else None,
        settings=_settings(said),
        environment_variables=said.environment_variables or {},
    )


def _references(said: DeploymentProperties) -> Iterator[tuple[str, str, str]]:
    """Yield the references that are there: where, the kind of what it names, the ARM id."""
    if said.code_configuration and said.code_configuration.code_id:
        yield _CODE, "codes", said.code_configuration.code_id
    if said.model:
        yield _MODEL, "models", said.model.asset_id
    if said.environment_id:
        yield "properties.environmentId", "environments", said.environment_id
    if said.compute:
        yield "properties.compute", "computes", said.compute


def _mistakes(said: DeploymentProperties) -> Iterator[Mistake]:
    """Yield what is missing, and what its type does not say."""
    for target, value in (
        (_CODE, said.code_configuration and said.code_configuration.code_id),
        ("properties.environmentId", said.environment_id),
        ("properties.compute", said.compute),
    ):
        if not value:
            message = f"{target} is required for a deployment that runs a scoring script"
            yield Mistake("MissingProperty", message, target)
    if said.code_configuration:
        script = PurePosixPath(said.code_configuration.scoring_script)
        if script.is_absolute() or ".." in script.parts:
            message = f"{_SCRIPT}: {str(script)!r} is not within the folder of the code"
            yield Mistake("InvalidValue", message, _SCRIPT)
    if not _timeout(said):
        message = f"{_TIMEOUT}: {said.retry_settings.timeout!r} is no duration above zero"
        yield Mistake("InvalidValue", message, _TIMEOUT)


def _settings(said: DeploymentProperties) -> Settings:
    appends = said.output_action is OutputAction.APPEND
    return Settings(
        mini_batch_size=said.mini_batch_size,
        max_retries=said.retry_settings.max_retries,
        timeout=_timeout(said),
        error_threshold=said.error_threshold,
        output_action="append_row" if appends else "summary_only",
        output_file_name=said.output_file_name,
    )


def _timeout(said: DeploymentProperties) -> timedelta:
    try:
        return msgspec.convert(said.retry_settings.timeout, timedelta)
    except msgspec.ValidationError:
        return timedelta(0)
