// The app's own storage account: the ledger, the queues, the package and the dead letters.

@description('Where the account is.')
param location string

@description('Its name.')
param name string

@description('How many copies there are, and where.')
param sku string

@description('The container that the app is deployed from.')
param packageContainer string

@description('The container of the ledger.')
param ledgerContainer string

@description('The container of the events that could not be delivered.')
param deadLetterContainer string

@description('The queue that storage events come to.')
param landingsQueue string

@description('The queue of the messages that were delivered in vain, named as the Functions host does.')
param poisonQueue string

@description('Days for which the ledger keeps ended jobs, and dead letters are kept.')
param retentionDays int

@description('Tags of the account.')
param tags object

// CKV_AZURE_35, CKV_AZURE_59: Event Grid delivers from, and a Flex Consumption app runs in, no network
// that could be named here; what keeps others out is that only identities with a role are let in.
// CKV_AZURE_206: whether a copy lies in another region is for who deploys to say.
resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowSharedKeyAccess: false // identities only
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
}

resource containers 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [
  for container in [packageContainer, ledgerContainer, deadLetterContainer]: {
    parent: blobs
    name: container
    properties: { publicAccess: 'None' }
  }
]

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' = {
  parent: account
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' = [
  for queue in [landingsQueue, poisonQueue]: {
    parent: queueService
    name: queue
  }
]

// Nothing else deletes these. open/, filling/, stuck/ and control/ are in use: never by age.
resource retention 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'retention'
          type: 'Lifecycle'
          enabled: true
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: [
                '${ledgerContainer}/done/'
                '${ledgerContainer}/turns/'
                '${ledgerContainer}/quarantine/'
                '${deadLetterContainer}/'
              ]
            }
            actions: {
              baseBlob: { delete: { daysAfterModificationGreaterThan: retentionDays } }
            }
          }
        }
      ]
    }
  }
  dependsOn: [blobs] // a policy is refused while the account is being changed
}

@description('The resource id.')
output id string = account.id

@description('The name.')
output name string = account.name

@description('Where its blobs are.')
output blobUrl string = account.properties.primaryEndpoints.blob

@description('Where its queues are.')
output queueUrl string = account.properties.primaryEndpoints.queue
