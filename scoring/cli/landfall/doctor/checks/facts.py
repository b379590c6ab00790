"""What the checks have found so far, for the checks after them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from azure.storage.blob.aio import BlobServiceClient

from scoring.azure.clients import EVENT_GRID_SCOPE, STORAGE_SCOPE, Clients
from scoring.azure.http import AuthorizedHttp
from scoring.cli.arm import Arm
from scoring.cli.landfall.doctor.checks.findings import NotChecked
from scoring.jobs.job import ContainerRef
from scoring.routes.route import Route
from scoring.settings import AzureSettings, Connection, Settings

AT_ONCE: dict[str, Any] = {"retry_total": 0}
"""For the storage SDK: no retries, because the user is waiting."""

T = TypeVar("T")


@dataclass(kw_only=True)
class Facts:
    """Where to look, and what is known so far.

    A method raises `NotChecked` if the check that should have found its result has failed.
    """

    environment: Mapping[str, str]
    routes_file: Path
    host_file: Path
    write: bool  # whether to write below output paths

    azure: AzureSettings | None = None
    settings: Settings | None = None
    made: Clients | None = None
    tokens: set[str] = field(default_factory=set)  # scopes that the identity has a token for
    routes: list[Route] = field(default_factory=list)  # those without mistakes
    registered: dict[str, dict[str, Any]] | None = None  # datastores
    places: dict[str, ContainerRef] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)  # their properties, by name

    async def close(self) -> None:
        """Close the connections."""
        if self.made is not None:
            await self.made.close()

    def clients(self) -> Clients:
        """Return the clients of the identity."""
        return _known(self.made, "the settings that name the workspace are wrong")

    def workspace_settings(self) -> AzureSettings:
        """Return the settings that name the workspace."""
        return _known(self.azure, "the settings that name the workspace are wrong")

    def all_settings(self) -> Settings:
        """Return all settings."""
        return _known(self.settings, "settings are wrong")

    def arm(self) -> Arm:
        """Return the way to the workspace's resources."""
        settings, clients = self.workspace_settings(), self.clients()
        self._has_token(settings.arm_scope)
        return Arm(clients.arm, settings.arm_url, settings.workspace_id)

    def ml(self) -> AuthorizedHttp:
        """Return the way to batch endpoints."""
        clients = self.clients()
        self._has_token(self.workspace_settings().ml_scope)
        return clients.ml

    def topic(self) -> AuthorizedHttp:
        """Return the way to the topic."""
        clients = self.clients()
        self._has_token(EVENT_GRID_SCOPE)
        return clients.topic

    def queues(self, address: str) -> AuthorizedHttp:
        """Return the way to the app's own queues."""
        clients = self.clients()
        self._has_token(STORAGE_SCOPE)
        return clients.queues(address)

    def blob_service(self, connection: Connection) -> BlobServiceClient:
        """Return a client for the blobs of an account."""
        clients = self.clients()
        if not connection.connection_string:
            self._has_token(STORAGE_SCOPE)
        return clients.blob_service(connection)

    def landing_storage(self, place: ContainerRef) -> BlobServiceClient:
        """Return a client for the blobs of a datastore's account."""
        own = self.workspace_settings().landing_storage.get(place.account)
        return self.blob_service(own or Connection(blob_url=place.account_url))

    def datastores(self) -> dict[str, dict[str, Any]]:
        """Return the workspace's datastores."""
        return _known(self.registered, "the workspace does not list its datastores")

    def place(self, datastore: str) -> ContainerRef:
        """Return where a datastore is."""
        self.datastores()
        return _known(self.places.get(datastore), f"datastore {datastore} cannot be used")

    def _has_token(self, scope: str) -> None:
        if scope not in self.tokens:
            raise NotChecked(f"no token for {scope.removesuffix('/.default')}")


def _known(found: T | None, missing: str) -> T:
    if found is None:
        raise NotChecked(missing)
    return found
