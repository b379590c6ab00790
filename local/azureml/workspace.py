"""What a workspace knows: endpoints and their deployments, datastores, data assets.

Everything here can be added to while the part runs.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from local.names import CONTAINER, DATASTORE, LANDING_ACCOUNT

DataKind = Literal["uri_file", "uri_folder"]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Threshold = Annotated[int, Meta(ge=-1)]
FileName = Annotated[str, Meta(min_length=1, pattern="^[^/]+$")]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment scores; the defaults are Azure ML's. A job may have settings of its own."""

    mini_batch_size: Positive = 10  # files
    max_retries: Count = 3  # further tries of a mini-batch
    timeout: timedelta = timedelta(seconds=30)  # of one try
    error_threshold: Threshold = -1  # files without a result; -1: any number
    output_action: Literal["append_row", "summary_only"] = "append_row"
    output_file_name: FileName = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One way to score: a script, its model and its settings."""

    name: str
    code: Path  # the folder
    script: str  # within it
    model: Path | None = None  # file or folder
    settings: Settings = field(default_factory=Settings)
    environment_variables: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Endpoint:
    """A batch endpoint."""

    name: str
    description: str = ""
    default_deployment: str | None = None
    deployments: dict[str, Deployment] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Datastore:
    """A registered place in storage."""

    name: str
    kind: Literal["AzureBlob", "AzureDataLakeGen2"] = "AzureBlob"
    account: str = LANDING_ACCOUNT
    container: str = CONTAINER  # the filesystem, in a data lake
    default: bool = False


def _datastores() -> dict[str, Datastore]:
    return {
        DATASTORE: Datastore(name=DATASTORE, default=True),
        "lake": Datastore(name="lake", kind="AzureDataLakeGen2", container="lake"),
    }


@dataclass(kw_only=True)
class Workspace:
    """The registry."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    datastores: dict[str, Datastore] = field(default_factory=_datastores)
    data: dict[tuple[str, str], tuple[DataKind, str]] = field(default_factory=dict)
    """Data assets by name and version: uri_file or uri_folder, and any URI but another asset's."""
