"""What a workspace knows: endpoints and their deployments, datastores, data assets.

Everything here can be added to while the part runs.
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
    """How a deployment scores; the defaults are Azure ML's. A job may have settings of its own."""

    mini_batch_size: Positive = 10  # files
    max_retries: Count = 3  # further tries of a mini-batch
    timeout: timedelta = timedelta(seconds=30)  # of one try
    error_threshold: Threshold = -1  # files without a result; -1: any number
    output_action: Literal["append_row", "summary_only"] = "append_row"
    output_file_name: FileName = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The files of a registered version, in storage."""

    key: str  # of the registration
    uri: str
    folder: bool  # whether it must be a folder; else it may be a file, too


Files = Path | Registered  # on this machine, or in storage


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One way to score: a script, its model and its settings."""

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
    """Data assets by name and version: what they name, and any URI but another asset's."""

    def endpoint(self, name: str) -> Endpoint | None:
        """Return the endpoint of a name, in any case."""
        return named(self.endpoints, name)

    def data_asset(self, name: str, version: str) -> tuple[DataKind, str] | None:
        """Return a data asset, its name and version in any case."""
        wanted = (name.lower(), version.lower())
        return next((v for k, v in self.data.items() if tuple(map(str.lower, k)) == wanted), None)


def named(things: Mapping[str, T], name: str) -> T | None:
    """Return the thing of a name, in any case."""
    return next((one for key, one in things.items() if key.lower() == name.lower()), None)
