"""The files of the Azure ML CLI v2, as far as batch scoring needs them.

Fields, values and defaults are those of its YAML reference. `refused` names fields that exist there
and are not supported here, with what to do instead; `ignored` those that have no effect.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Scalar = str | int | float | bool
Texts = dict[str, Scalar]
Mistakes = Iterator[tuple[str, str]]  # field, problem

_ENDPOINT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,31}")
_COMPUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,31}")
_ASSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")

_NO_IDENTITY = "batch jobs run as the identity that invokes them; set up identities in the portal"
_WRITTEN_BY_SERVICE = frozenset({"$schema", "id", "creation_context", "provisioning_state"})
"""`$schema`, and what the service added to a file that was exported from it."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping in a file."""

    refused: ClassVar[dict[str, str]] = {}
    ignored: ClassVar[frozenset[str]] = frozenset()

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from ()


class Compute(Part, frozen=True, kw_only=True):
    """A compute cluster."""

    name: str
    type: Literal["amlcompute"] = "amlcompute"
    description: str | None = None
    location: str | None = None
    tags: Texts | None = None
    size: str = "Standard_DS3_v2"
    tier: Literal["dedicated", "low_priority"] | None = None
    min_instances: Count = 0
    max_instances: Count = 1
    idle_time_before_scale_down: Positive | None = None  # seconds
    ssh_public_access_enabled: bool | None = None
    enable_node_public_ip: bool | None = None

    refused: ClassVar = {
        "ssh_settings": "set a password or key in the portal, not in a file",
        "network_settings": "create the cluster with the Azure CLI or in the portal, then deploy to"
        " it",
        "identity": _NO_IDENTITY,
    }
    ignored: ClassVar = _WRITTEN_BY_SERVICE | {"provisioning_errors", "created_on"}

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from _named(self.name, _COMPUTE_NAME, "2 to 32")
        if self.min_instances > self.max_instances:
            yield "min_instances", f"is more than max_instances, {self.max_instances}"


class Asset(Part, frozen=True, kw_only=True):
    """A resource that is registered with a name and a version."""

    name: str | None = None
    version: str | int | float | None = None
    description: str | None = None
    tags: Texts | None = None
    properties: Texts | None = None

    refused: ClassVar = {
        "datastore": "uploads go to the default datastore; or upload it yourself, and give the URI"
        " as path",
    }
    ignored: ClassVar = _WRITTEN_BY_SERVICE | {"latest_version", "job_name", "utc_time_created"}

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        for field, value in (("name", self.name), ("version", self.version)):
            if value is not None and not _ASSET_NAME.fullmatch(str(value)):
                yield field, f"{value!r} must be letters, digits, `.`, `_` and `-`, at most 255"
        if self.version is not None and self.name is None:
            yield "version", "needs a name: add one"


class Model(Asset, frozen=True, kw_only=True):
    """Files that a scoring script loads."""

    path: str
    type: Literal["custom_model", "mlflow_model", "triton_model"] | None = None
    stage: str | None = None

    refused: ClassVar = Asset.refused | {
        "flavors": "it is for deployments without code; leave it out",
    }


class Environment(Asset, frozen=True, kw_only=True):
    """The image and packages that a scoring script runs in."""

    image: str | None = None
    conda_file: str | dict[str, Any] | None = None  # a path, or the file's content
    os_type: Literal["linux"] | None = None

    refused: ClassVar = Asset.refused | {
        "build": "build the image, push it to a registry, and name it as `image`",
        "inference_config": "it is for online endpoints; leave it out",
        "channels": "put it into the file that `conda_file` names",
        "dependencies": "put it into the file that `conda_file` names",
    }

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from super().mistakes()
        if self.image is None:
            yield "image", "is missing: name the Docker image"


class Data(Asset, frozen=True, kw_only=True):
    """A file or folder to score."""

    path: str
    type: Literal["uri_file", "uri_folder"] = "uri_folder"

    refused: ClassVar = Asset.refused | {
        "auto_delete_setting": "set it in the portal",
    }

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from super().mistakes()
        if self.name is None:
            yield "name", "is missing"


class Defaults(Part, frozen=True, kw_only=True):
    """What an endpoint uses if a request does not name it."""

    deployment_name: str | None = None


class Endpoint(Part, frozen=True, kw_only=True):
    """A batch endpoint."""

    name: str
    description: str | None = None
    tags: Texts | None = None
    properties: Texts | None = None
    location: str | None = None
    auth_mode: Literal["aad_token"] = "aad_token"
    defaults: Defaults | None = None

    refused: ClassVar = {
        "identity": _NO_IDENTITY,
        "traffic": "it is for online endpoints; name the default deployment",
        "mirror_traffic": "it is for online endpoints; leave it out",
        "public_network_access": "it is for online endpoints; leave it out",
    }
    ignored: ClassVar = _WRITTEN_BY_SERVICE | {"scoring_uri", "openapi_uri", "kind"}

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from _named(self.name, _ENDPOINT_NAME, "3 to 32")


class Code(Part, frozen=True, kw_only=True):
    """Where the scoring script is."""

    code: str
    scoring_script: str


class Resources(Part, frozen=True, kw_only=True):
    """The nodes that a job gets."""

    instance_count: Positive | None = None
    instance_type: str | None = None
    properties: dict[str, Any] | None = None

    refused: ClassVar = {
        "shm_size": "batch deployments have no such setting",
        "docker_args": "batch deployments have no such setting",
        "locations": "batch deployments have no such setting",
        "max_instance_count": "batch deployments have no such setting: use instance_count",
    }


class RetrySettings(Part, frozen=True, kw_only=True):
    """How often a mini-batch that fails is tried again."""

    max_retries: Count | None = None
    timeout: Positive | None = None  # seconds


class Settings(Part, frozen=True, kw_only=True):
    """How a deployment scores: below `settings`, or in the older form at the top level."""

    mini_batch_size: Positive | None = None  # files
    max_concurrency_per_instance: Positive | None = None
    error_threshold: Annotated[int, Meta(ge=-1)] | None = None
    logging_level: Literal["debug", "info", "warning"] | None = None
    output_action: Literal["append_row", "summary_only"] | None = None
    output_file_name: str | None = None
    retry_settings: RetrySettings | None = None
    environment_variables: Texts | None = None


class SettingsBelow(Settings, frozen=True, kw_only=True):
    """The settings of a deployment with a type."""

    instance_count: Positive | None = None


class Deployment(Settings, frozen=True, kw_only=True):
    """A batch deployment of a model."""

    name: str
    endpoint_name: str
    compute: str
    type: Literal["model"] | None = None
    description: str | None = None
    tags: Texts | None = None
    properties: Texts | None = None
    model: str | Model | None = None
    code_configuration: Code | None = None
    environment: str | Environment | None = None
    resources: Resources | None = None
    settings: SettingsBelow | None = None

    refused: ClassVar = {
        "component": "pipeline components cannot be deployed here: use the Azure ML CLI",
        "job_definition": "jobs cannot be deployed here: use the Azure ML CLI",
        "code_path": "use code_configuration.code",
        "scoring_script": "use code_configuration.scoring_script",
        "instance_count": "use resources.instance_count",
        "identity": _NO_IDENTITY,
    }
    ignored: ClassVar = _WRITTEN_BY_SERVICE

    def mistakes(self) -> Mistakes:
        """Yield mistakes that are not in the type of a single field."""
        yield from _named(self.name, _ENDPOINT_NAME, "3 to 32")
        for field, problem in _named(self.endpoint_name, _ENDPOINT_NAME, "3 to 32"):
            yield f"endpoint_{field}", problem
        if self.settings is not None:
            yield from self._duplicates(self.settings)
        yield from self._without_code()

    def _duplicates(self, settings: SettingsBelow) -> Mistakes:
        for field in Settings.__struct_fields__:
            if getattr(self, field) is not None and getattr(settings, field) is not None:
                yield field, f"is set twice: leave it out here or in settings.{field}"
        if settings.instance_count and self.resources and self.resources.instance_count:
            yield "resources.instance_count", "is set in settings.instance_count, too"

    def _without_code(self) -> Mistakes:
        if self.model is None and self.code_configuration is None:
            yield (
                "model",
                "is missing, and so is code_configuration: a deployment needs one of them",
            )
        if isinstance(self.model, Model) and self.model.type != "mlflow_model":
            for field in ("code_configuration", "environment"):
                if getattr(self, field) is None:
                    yield field, "is missing; only models of type mlflow_model do not need it"


Document = Compute | Model | Environment | Data | Endpoint | Deployment


def _named(name: str, form: re.Pattern[str], length: str) -> Mistakes:
    if not form.fullmatch(name):
        yield (
            "name",
            f"{name!r} must be {length} letters, digits and `-`, and begin with a letter",
        )
