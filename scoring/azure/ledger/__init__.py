"""The ledger, as blobs in a container of the app's own storage account."""
