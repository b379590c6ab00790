"""What is PUT: the shapes of the REST article, with the names of api-version 2025-12-01.

What a file does not say is not sent, so that the service's own defaults hold; what the article
always sends is sent always.
"""

from datetime import timedelta
from typing import Any

from scoring.cli.azureml.deploy.yaml_schema import (
    Compute,
    Data,
    Deployment,
    Endpoint,
    Environment,
    Model,
    RetrySettings,
    Settings,
    Texts,
)
from scoring.durations import iso8601

Body = dict[str, Any]

_TIERS = {"dedicated": "Dedicated", "low_priority": "LowPriority"}
_OUTPUT_ACTIONS = {"append_row": "AppendRow", "summary_only": "SummaryOnly"}
_PORTS = {None: "NotSpecified", True: "Enabled", False: "Disabled"}
_OPERATION = "AzureAsyncOperationUri"  # the service puts it among an endpoint's properties


def compute_body(compute: Compute, location: str) -> Body:
    """Return the body of a cluster."""
    idle = compute.idle_time_before_scale_down
    return _said(
        location=compute.location or location,
        tags=_texts(compute.tags),
        properties=_said(
            computeType="AmlCompute",
            description=compute.description,
            properties=_said(
                osType="Linux",
                vmSize=compute.size,
                vmPriority=_TIERS.get(compute.tier or ""),
                scaleSettings=_said(
                    minNodeCount=compute.min_instances,
                    maxNodeCount=compute.max_instances,
                    nodeIdleTimeBeforeScaleDown=_seconds(idle),
                ),
                remoteLoginPortPublicAccess=_PORTS[compute.ssh_public_access_enabled],
                enableNodePublicIp=compute.enable_node_public_ip,
            ),
        ),
    )


def code_body(url: str) -> Body:
    """Return the body of a version of code, at an https URL."""
    return {"properties": {"description": "Score code", "codeUri": url}}


def model_body(model: Model, uri: str) -> Body:
    """Return the body of a version of a model, at an `azureml://` URI."""
    said = _said(**_asset(model), modelType=model.type, stage=model.stage, modelUri=uri)
    return {"properties": said}


def environment_body(environment: Environment, conda_file: str | None) -> Body:
    """Return the body of a version of an environment; `conda_file` is the file's content."""
    said = _said(
        **_asset(environment),
        condaFile=conda_file,
        image=environment.image,
        osType="Linux" if environment.os_type else None,
    )
    return {"properties": said}


def data_body(data: Data, uri: str) -> Body:
    """Return the body of a version of a data asset."""
    return {"properties": _said(dataType=data.type, dataUri=uri, **_asset(data))}


def endpoint_body(
    endpoint: Endpoint, location: str, default: str | None, there: Body | None
) -> Body:
    """Return the body of an endpoint with this default deployment.

    The identity of one that is there stays: no file can name it.
    """
    return _said(
        location=endpoint.location or location,
        tags=_texts(endpoint.tags),
        identity=_identity((there or {}).get("identity")),
        properties=_said(
            authMode="aadToken",
            description=endpoint.description,
            properties=_texts(endpoint.properties),
            defaults=default and {"deploymentName": default},
        ),
    )


def endpoint_again(there: Body, default: str) -> Body:
    """Return the body that changes nothing of an endpoint but its default deployment."""
    properties = there["properties"]
    own = {k: v for k, v in (properties.get("properties") or {}).items() if k != _OPERATION}
    return _said(
        location=there["location"],
        tags=there.get("tags"),
        identity=_identity(there.get("identity")),
        properties=_said(
            authMode=properties.get("authMode") or "aadToken",
            description=properties.get("description"),
            properties=own or None,
            defaults={"deploymentName": default},
        ),
    )


def default_of(endpoint: Body | None) -> str | None:
    """Return the default deployment of an endpoint that is there."""
    defaults = ((endpoint or {}).get("properties") or {}).get("defaults") or {}
    return defaults.get("deploymentName") or None


def deployment_body(
    deployment: Deployment,
    location: str,
    *,
    model: str | None,
    code: str | None,
    environment: str | None,
    compute: str,
) -> Body:
    """Return the body of a deployment; the other arguments are ids."""
    settings = _settings(deployment)
    resources = deployment.resources
    instances = (resources and resources.instance_count) or settings.pop("instance_count")
    script = deployment.code_configuration
    variables = {
        **(deployment.environment_variables or {}),
        **((deployment.settings and deployment.settings.environment_variables) or {}),
    }
    action = settings["output_action"]
    return _said(
        location=location,
        tags=_texts(deployment.tags),
        properties=_said(
            description=deployment.description,
            model=model and {"referenceType": "Id", "assetId": model},
            codeConfiguration=script and _said(codeId=code, scoringScript=script.scoring_script),
            environmentId=environment,
            environmentVariables=_texts(variables or None),
            compute=compute,
            resources=_said(
                instanceCount=instances,
                instanceType=resources and resources.instance_type,
                properties=resources and resources.properties,
            )
            or None,
            maxConcurrencyPerInstance=settings["max_concurrency_per_instance"],
            miniBatchSize=settings["mini_batch_size"],
            retrySettings=_retry(settings["retry_settings"]),
            errorThreshold=settings["error_threshold"],
            loggingLevel=settings["logging_level"],
            outputAction=_OUTPUT_ACTIONS.get(action or ""),
            outputFileName=settings["output_file_name"],
            properties=_texts(deployment.properties),
        ),
    )


def _settings(deployment: Deployment) -> dict[str, Any]:
    """Return the settings of both forms; in one of them at most, each is said."""
    below = deployment.settings
    merged = {
        name: getattr(deployment, name)
        if below is None or getattr(below, name) is None
        else getattr(below, name)
        for name in Settings.__struct_fields__
    }
    return merged | {"instance_count": below and below.instance_count}


def _retry(retry: RetrySettings | None) -> Body | None:
    if retry is None:
        return None
    return _said(maxRetries=retry.max_retries, timeout=_seconds(retry.timeout)) or None


def _seconds(seconds: int | None) -> str | None:
    return None if seconds is None else iso8601(timedelta(seconds=seconds))


def _asset(asset: Model | Environment | Data) -> Body:
    return {
        "description": asset.description,
        "tags": _texts(asset.tags),
        "properties": _texts(asset.properties),
    }


def _identity(identity: Body | None) -> Body | None:
    if not identity:
        return None
    users: Body = {name: {} for name in identity.get("userAssignedIdentities") or {}}
    return _said(type=identity["type"], userAssignedIdentities=users or None)


def _texts(said: Texts | None) -> dict[str, str] | None:
    return None if said is None else {name: str(value) for name, value in said.items()}


def _said(**fields: Any) -> Body:
    """Return what was said."""
    return {name: value for name, value in fields.items() if value is not None}
