"""Clients of the Azure services, all of one identity: made once for a process."""

from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from azure.identity.aio import DefaultAzureCredential
from azure.storage.blob.aio import BlobServiceClient

from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.identity import Identity
from scoring.errors import SetupError
from scoring.settings import AzureSettings, Connection, not_trusted
from scoring.uris import may_receive_token

# Poll and the queue try again, so the storage client's own retries are few and short.
_PATIENCE: dict[str, Any] = {"retry_total": 3, "connection_timeout": 10, "read_timeout": 20}


class _Closable(Protocol):
    async def close(self) -> None: ...


T = TypeVar("T", bound=_Closable)


class Clients:
    """What the settings lead to. A token goes to allowed hosts only."""

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings
        self._http = new_client()
        self._open: list[_Closable] = []
        self.identity = Identity(
            lambda: DefaultAzureCredential(managed_identity_client_id=settings.client_id)
        )
        self.arm = self.authorized(settings.arm_scope)
        self.ml = self.authorized(settings.ml_scope)

    def authorized(self, scope: str) -> AuthorizedHttp:
        """Return what sends requests with a token for a scope."""
        hosts = self._settings.allowed_hosts
        if scope == self._settings.arm_scope:
            # ARM names addresses itself, of long operations and of pages: to no host but its own.
            hosts = (urlsplit(self._settings.arm_url).hostname or "",)
        return AuthorizedHttp(self._http, self.identity, scope, hosts)

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
                return self.closing(
                    BlobServiceClient.from_connection_string(
                        connection.connection_string, **_PATIENCE
                    )
                )
            except ValueError as mistake:
                raise SetupError(f"{connection.name} is no connection string: {mistake}") from None
        url = connection.blob_url or ""
        if not may_receive_token(url, self._settings.allowed_hosts):
            raise SetupError(not_trusted(url))
        return self.closing(BlobServiceClient(url, credential=self.identity, **_PATIENCE))

    def closing(self, client: T) -> T:
        """Return a client that is closed with all the others."""
        self._open.append(client)
        return client

    async def close(self) -> None:
        """Close all connections, and the credential. The function app never does."""
        for client in self._open:
            await client.close()
        await self._http.aclose()
        await self.identity.close()
