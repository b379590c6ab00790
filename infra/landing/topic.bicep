// The system topic of a storage account where files land. An account can have only one.

@description('The name of the storage account.')
param accountName string

@description('Where the account is: its system topic must be there, too.')
param location string

@description('The name of the system topic.')
param name string

@description('Whether the system topic is there already. It must have a system-assigned identity then.')
param exists bool

@description('Tags of a new system topic.')
param tags object

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: accountName
}

resource found 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = if (exists) {
  name: name
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (!exists) {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' } // delivers to the queue: a key would be a secret
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

@description('The resource id of the system topic.')
output id string = exists ? found.id : topic.id

@description('The object id of the identity that delivers.')
output principalId string = exists ? found!.identity.principalId : topic!.identity.principalId
