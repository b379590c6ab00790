"""The bodies of PUT requests: those of the REST article, with the names of api-version 2025-12-01.

Fields that a file leaves out are not sent, so the service's defaults apply. Only what the article
always sends is always sent.
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
_OPERATION = "AzureAsyncOperationUri"  # the service adds it to an endpoint's properties


def compute_body(compute: Compute, location: str) -> Body:
    """Return the body of a cluster."""
    idle = compute.idle_time_before_scale_down
    return _given(
        location=compute.location or location,
        tags=_texts(compute.tags),
        properties=_given(
            computeType="AmlCompute",
            description=compute.description,
            properties=_given(
                osType="Linux",
                vmSize=compute.size,
                vmPriority=_TIERS.get(compute.tier or ""),
                scaleSettings=_given(
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
    properties = _given(**_asset(model), modelType=model.type, stage=model.stage, modelUri=uri)
    return {"properties": properties}


def environment_body(environment: Environment, conda_file: str | None) -> Body:
    """Return the body of a version of an environment; `conda_file` is the file's content."""
    properties = _given(
        **_asset(environment),
        condaFile=conda_file,
        image=environment.image,
        osType="Linux" if environment.os_type else None,
    )
    return {"properties": properties}


def data_body(data: Data, uri: str) -> Body:
    """Return the body of a version of a data asset."""
    return {"properties": _given(dataType=data.type, dataUri=uri, **_asset(data))}


def endpoint_body(
    endpoint: Endpoint, location: str, default: str | None, there: Body | None
) -> Body:
    """Return the body of an endpoint with this default deployment.

    `there` is the endpoint if it exists; it keeps its identity, which a file cannot set.
    """
    return _given(
        location=endpoint.location or location,
        tags=_texts(endpoint.tags),
        identity=_identity((there or {}).get("identity")),
        properties=_given(
            authMode="aadToken",
            description=endpoint.description,
            properties=_texts(endpoint.properties),
            defaults=default and {"deploymentName": default},
        ),
    )


def endpoint_again(there: Body, default: str) -> Body:
    """Return the body that changes only the default deployment of an endpoint."""
    properties = there["properties"]
    own = {k: v for k, v in (properties.get("properties") or {}).items() if k != _OPERATION}
    return _given(
        location=there["location"],
        tags=there.get("tags"),
        identity=_identity(there.get("identity")),
        properties=_given(
            authMode=properties.get("authMode") or "aadToken",
            description=properties.get("description"),
            properties=own or None,
            defaults={"deploymentName": default},
        ),
    )


def default_of(endpoint: Body | None) -> str | None:
    """Return the default deployment of an existing endpoint."""
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
    return _given(
        location=location,
        tags=_texts(deployment.tags),
        properties=_given(
            description=deployment.description,
            model=model and {"referenceType": "Id", "assetId": model},
            codeConfiguration=script and _given(codeId=code, scoringScript=script.scoring_script),
            environmentId=environment,
            environmentVariables=_texts(variables or None),
            compute=compute,
            resources=_given(
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
    """Return the settings of both forms; each is set in one of them at most."""
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
    return _given(maxRetries=retry.max_retries, timeout=_seconds(retry.timeout)) or None


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
    return _given(type=identity["type"], userAssignedIdentities=users or None)


def _texts(values: Texts | None) -> dict[str, str] | None:
    return None if values is None else {name: str(value) for name, value in values.items()}


def _given(**fields: Any) -> Body:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}
