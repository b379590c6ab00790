"""The bodies of codes, models, environments and data."""

from msgspec import UNSET, UnsetType

from local.azureml.bodies import OsType, Part, Properties, Some, Text, Texts, Word


class Container(Properties, kw_only=True):
    """The container of all versions of an asset."""

    tags: Texts = UNSET
    is_archived: bool = False


class Version(Properties, kw_only=True):
    """One version of an asset."""

    tags: Texts = UNSET
    is_anonymous: bool = False
    is_archived: bool = False


class CodeVersion(Version, kw_only=True):
    """A folder of scripts."""

    code_uri: Some


class ModelType(Word):
    """How a model is stored."""

    CUSTOM = "custom_model"
    MLFLOW = "mlflow_model"
    TRITON = "triton_model"


class Flavor(Part):
    """A flavor of an MLflow model."""

    data: Texts = UNSET


class ModelVersion(Version, kw_only=True):
    """A file or folder that a script loads."""

    model_uri: Some
    model_type: ModelType = ModelType.CUSTOM
    job_name: Text = UNSET
    flavors: dict[str, Flavor] | UnsetType = UNSET
    stage: Text = UNSET


class AutoRebuild(Word):
    """When an image is rebuilt."""

    DISABLED = "Disabled"
    ON_BASE_IMAGE_UPDATE = "OnBaseImageUpdate"


class Build(Part, kw_only=True):
    """What an image is built from."""

    context_uri: Some
    dockerfile_path: str = "Dockerfile"


class Port(Part, kw_only=True):
    """A path of an inference server."""

    path: str
    port: int


class InferenceConfig(Part):
    """The paths of an inference server; not used."""

    liveness_route: Port | UnsetType = UNSET
    readiness_route: Port | UnsetType = UNSET
    scoring_route: Port | UnsetType = UNSET
    startup_route: Port | UnsetType = UNSET


class EnvironmentVersion(Version, kw_only=True):
    """The environment of a script; stored and returned, not built."""

    conda_file: Text = UNSET
    image: Text = UNSET
    build: Build | UnsetType = UNSET
    os_type: OsType = OsType.LINUX
    auto_rebuild: AutoRebuild | UnsetType = UNSET
    inference_config: InferenceConfig | UnsetType = UNSET
    stage: Text = UNSET


class DataType(Word):
    """The kind of a data asset."""

    FILE = "uri_file"
    FOLDER = "uri_folder"
    TABLE = "mltable"


class DataContainer(Container, kw_only=True):
    """The container of all versions of a data asset."""

    data_type: DataType


class DataVersion(Version, kw_only=True):
    """A file or folder that can be scored."""

    data_type: DataType
    data_uri: Some
