"""The content of a workspace: endpoints and their deployments, datastores, data assets.

All of it can be changed while the part runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from local.names import CONTAINER, DATASTORE, LANDING_ACCOUNT

DataKind = Literal["uri_file", "uri_folder", "mltable"]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Threshold = Annotated[int, Meta(ge=-1)]
FileName = Annotated[str, Meta(min_length=1, pattern="^[^/]+$")]

T = TypeVar("T")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a deployment, with Azure ML's defaults. A job may override them."""

    mini_batch_size: Positive = 10  # files
    max_retries: Count = 3  # retries of a mini-batch
    timeout: timedelta = timedelta(seconds=30)  # of one attempt
    error_threshold: Threshold = -1  # how many files may have no result; -1: any number
    output_action: Literal["append_row", "summary_only"] = "append_row"
    output_file_name: FileName = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The files of a registered version of a code or a model, in storage."""

    key: str  # of the registration
    uri: str
    folder: bool  # whether it must be a folder; else it may also be a file


Files = Path | Registered  # on this machine, or in storage


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment of an endpoint: a script, its model and its settings."""

    name: str
    code: Files  # the folder
    script: str  # within it
    model: Files | None = None  # file or folder
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
    """A registered container in storage."""

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
    """The content of the workspace."""

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    datastores: dict[str, Datastore] = field(default_factory=_datastores)
    data: dict[tuple[str, str], tuple[DataKind, str]] = field(default_factory=dict)
    """Data assets by name and version: kind and URI; the URI is not that of another asset."""

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint of a name; upper and lower case do not matter."""
        return named(self.endpoints, name)

    def data_asset(self, name: str, version: str) -> tuple[DataKind, str] | None:
        """Return a data asset; upper and lower case of name and version do not matter."""
        wanted = (name.lower(), version.lower())
        return next((v for k, v in self.data.items() if tuple(map(str.lower, k)) == wanted), None)


def named(items: Mapping[str, T], name: str) -> T | None:
    """Return the item of a name; upper and lower case do not matter."""
    return next((one for key, one in items.items() if key.lower() == name.lower()), None)
