"""Makes resources of the endpoints that exist from the start, as if they had been PUT."""

from msgspec import UNSET

from local.azureml.bodies import TrackedBody
from local.azureml.endpoint_bodies import (
    AuthMode,
    CodeConfiguration,
    Defaults,
    DeploymentProperties,
    EndpointProperties,
    OutputAction,
    RetrySettings,
)
from local.azureml.part import AzureMl
from local.azureml.resources import Resource
from local.azureml.workspace import Deployment, Endpoint
from local.names import LOCATION


def adopt(part: AzureMl) -> None:
    """Make a resource of each endpoint and deployment that has none yet."""
    for endpoint in part.workspace.endpoints.values():
        path = f"batchEndpoints/{endpoint.name}"
        if part.resources.get(path) is None:
            part.resources.add(Resource(path=path, body=_endpoint(endpoint)))
        for deployment in endpoint.deployments.values():
            below = f"{path}/deployments/{deployment.name}"
            if part.resources.get(below) is None:
                part.resources.add(Resource(path=below, body=_deployment(deployment)))


def _endpoint(endpoint: Endpoint) -> TrackedBody[EndpointProperties]:
    default = endpoint.default_deployment
    properties = EndpointProperties(
        auth_mode=AuthMode.AAD,
        description=endpoint.description,
        defaults=Defaults(deployment_name=default) if default else UNSET,
    )
    return TrackedBody(location=LOCATION, properties=properties)


def _deployment(deployment: Deployment) -> TrackedBody[DeploymentProperties]:
    settings = deployment.settings
    appends = settings.output_action == "append_row"
    properties = DeploymentProperties(
        code_configuration=CodeConfiguration(scoring_script=deployment.script),
        environment_variables=deployment.environment_variables,
        mini_batch_size=settings.mini_batch_size,
        error_threshold=settings.error_threshold,
        output_action=OutputAction.APPEND if appends else OutputAction.SUMMARY,
        output_file_name=settings.output_file_name,
        retry_settings=RetrySettings(
            max_retries=settings.max_retries, timeout=f"PT{settings.timeout.total_seconds():g}S"
        ),
    )
    return TrackedBody(location=LOCATION, properties=properties)
