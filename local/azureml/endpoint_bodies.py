"""The bodies of batch endpoints and deployments."""

from msgspec import UNSET, UnsetType, field

from local.azureml.bodies import Anything, Duration, Part, Properties, Some, Text, Texts, Word
from local.azureml.workspace import Count, FileName, Positive, Threshold


class AuthMode(Word):
    """How callers of an endpoint authenticate."""

    AAD = "AADToken"


class Defaults(Part):
    """The deployment for invocations that name none."""

    deployment_name: Text = UNSET


class EndpointProperties(Properties, kw_only=True):
    """A batch endpoint."""

    auth_mode: AuthMode
    defaults: Defaults | UnsetType = UNSET


class ReferenceType(Word):
    """How a deployment names its model."""

    ID = "Id"


class ModelReference(Part, kw_only=True):
    """The model of a deployment."""

    reference_type: ReferenceType
    asset_id: Some


class CodeConfiguration(Part, kw_only=True):
    """The script of a deployment."""

    scoring_script: Some
    code_id: Text = UNSET


class DeploymentResources(Part):
    """How many nodes score."""

    instance_count: Positive = 1
    instance_type: Text = UNSET
    properties: Anything = UNSET


class RetrySettings(Part):
    """What happens to a mini-batch that fails."""

    max_retries: Count = 3
    timeout: Duration = "PT30S"


class LoggingLevel(Word):
    """How much a script logs."""

    INFO = "Info"
    WARNING = "Warning"
    DEBUG = "Debug"


class OutputAction(Word):
    """What happens to the results that a script returns."""

    APPEND = "AppendRow"
    SUMMARY = "SummaryOnly"


class DeploymentProperties(Properties, kw_only=True):
    """A deployment. The references are optional in the ARM type; `deploying` requires them."""

    model: ModelReference | UnsetType = UNSET
    code_configuration: CodeConfiguration | UnsetType = UNSET
    environment_id: Text = UNSET
    environment_variables: Texts = UNSET
    compute: Text = UNSET
    resources: DeploymentResources = field(default_factory=DeploymentResources)
    max_concurrency_per_instance: Positive = 1
    mini_batch_size: Positive = 10
    error_threshold: Threshold = -1
    output_action: OutputAction = OutputAction.APPEND
    output_file_name: FileName = "predictions.csv"
    logging_level: LoggingLevel = LoggingLevel.INFO
    retry_settings: RetrySettings = field(default_factory=RetrySettings)
