"""Clients of the Azure services, all of one identity: made once for a process."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import httpx
from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from scoring.azure.access import Access
from scoring.azure.hosts import Hosts
from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.identity import Identity
from scoring.azure.storage_transport import BoundedRetry, StorageTransport
from scoring.errors import SetupError
from scoring.settings import AzureSettings, Connection

STORAGE_SCOPE = "https://storage.azure.com/.default"  # in every cloud
EVENT_GRID_SCOPE = "https://eventgrid.azure.net/.default"  # in every cloud, as its library asks


class _Closable(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class Clients:
    """What the settings lead to. A token goes to hosts of its audience only."""

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings
        self._hosts = Hosts(settings)
        self._identity = Identity(
            lambda: DefaultAzureCredential(managed_identity_client_id=settings.client_id)
        )
        self._open: list[_Closable] = [self._identity]
        self._tls = httpx.create_ssl_context()  # takes a while to make
        self.arm = self._authorized(settings.arm_scope, self._hosts.arm)
        self.ml = self._authorized(settings.ml_scope, self._hosts.ml)
        self.topic = self._authorized(EVENT_GRID_SCOPE, self._hosts.topic)

    async def token(self, scope: str) -> str:
        """Return a token for people to look at.

        Raises:
            NoToken: there is none.
        """
        return await self._identity.token(scope)

    def queues(self, address: str) -> AuthorizedHttp:
        """Return what sends requests to a queue service that a setting names."""
        return self._authorized(STORAGE_SCOPE, Hosts(self._settings, address).storage)

    def account_url(self, account: str, suffix: str) -> str:
        """Return the address of an account's blobs, from its datastore's endpoint suffix."""
        own = self._settings.landing_storage.get(account)
        return own.blob_url if own and own.blob_url else f"https://{account}.blob.{suffix}"

    def landing_storage(self, account: str, account_url: str) -> BlobServiceClient:
        """Return a client for a datastore's account.

        Raises:
            SetupError: the settings for it cannot be used.
        """
        own = self._settings.landing_storage.get(account)
        return self.blob_service(own or Connection(blob_url=account_url))

    def blob_service(self, connection: Connection) -> BlobServiceClient:
        """Return a client for the blobs of an account.

        Raises:
            SetupError: the connection cannot be used.
        """
        if connection.connection_string:
            try:
                made = BlobServiceClient.from_connection_string(
                    connection.connection_string,
                    transport=StorageTransport(),
                    retry_policy=BoundedRetry(),
                    permit_redirects=False,
                )
            except ValueError:  # its text may quote the secret
                raise SetupError(f"{connection.name} is no connection string") from None
            return self.closing(made)
        url = connection.blob_url or ""
        refusal = self._hosts.storage(url)
        if refusal:
            raise SetupError(refusal)
        access = Access(self._identity, STORAGE_SCOPE, self._hosts.storage)
        return self.closing(
            BlobServiceClient(
                url,
                transport=StorageTransport(access),
                retry_policy=BoundedRetry(),
                permit_redirects=False,
            )
        )

    def closing(self, client: T) -> T:
        """Return a client that is closed with all the others."""
        self._open.append(client)
        return client

    async def close(self) -> None:
        """Close all connections, and the credentials. The function app never does."""
        for client in reversed(self._open):
            await client.close()

    def _authorized(self, scope: str, why_not: Callable[[str], str | None]) -> AuthorizedHttp:
        access = Access(self._identity, scope, why_not)
        return self.closing(AuthorizedHttp(new_client(verify=self._tls), access))
