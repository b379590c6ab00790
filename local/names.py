"""Names, ids and keys of the local Azure."""

import base64

TENANT = "00000000-0000-0000-0000-00000000aaaa"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
RESOURCE_GROUP = "local"
WORKSPACE = "landfall"
LOCATION = "local"

APP_ACCOUNT = "landfallapp"  # the function app's own storage: ledger and queues
LANDING_ACCOUNT = "landingzone"  # the workspace's storage: landed files and outputs
DATASTORE = "workspaceblobstore"
CONTAINER = "azureml-blobstore"  # the datastore's container, in the landing account
LANDINGS_QUEUE = "landings"
LEDGER_CONTAINER = "landfall"

# Azurite's account keys. They are not secret: the emulator listens on loopback only.
ACCOUNT_KEYS = {
    account: base64.b64encode(f"{account} has no secrets".encode().ljust(64)).decode()
    for account in (APP_ACCOUNT, LANDING_ACCOUNT)
}

ARM_AUDIENCE = "https://management.azure.com"
ML_AUDIENCE = "https://ml.azure.com"
STORAGE_AUDIENCE = "https://storage.azure.com"
EVENT_GRID_AUDIENCE = "https://eventgrid.azure.net"

WORKSPACE_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)


def storage_account_id(account: str) -> str:
    """Return the ARM id of a storage account, which is the topic of its events."""
    return (
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
        f"/providers/Microsoft.Storage/storageAccounts/{account}"
    )
