"""The ledger's container, as the product reaches it, with a client that is quick to try again."""

from typing import Any

from azure.storage.blob.aio import ContainerClient

from local.names import APP_ACCOUNT, LEDGER_CONTAINER, STORAGE_AUDIENCE
from local.storage import Storage
from local.tokens import issue
from scoring.azure.storage_transport import StorageTransport
from tests.azure.access import access


def container(storage: Storage, name: str = LEDGER_CONTAINER, **options: Any) -> ContainerClient:
    """Return a client of a container in the app's own account."""
    return ContainerClient(
        f"{storage.blob}/{APP_ACCOUNT}",
        name,
        transport=StorageTransport(access(issue(STORAGE_AUDIENCE, client="test"))),
        retry_total=3,
        initial_backoff=0,
        increment_base=0,
        **options,
    )
