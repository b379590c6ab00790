// Where a storage account is: its system topic must be there, too. A module of its own, for a
// template cannot take a location from what it looks up itself.

@description('The name of the storage account.')
param accountName string

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
}

@description('The region of the storage account.')
output location string = account.location
