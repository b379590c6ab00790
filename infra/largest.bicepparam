// Every parameter: for the snapshot beside it.
using 'main.bicep'

param environmentName = 'largest'
param location = 'westeurope'
param resourceGroupName = 'landfall'
param workspaceName = 'hearts'
param workspaceResourceGroup = 'scoring'
param storageAccounts = [
  {
    name: 'hearts'
    resourceGroup: 'scoring'
    landing: [
      { container: 'landing', prefixes: ['landing/cancer/', 'landing/digits/'] }
      { container: 'landing', prefixes: ['landing/inbox/'] }
      { container: 'inbox', prefixes: [] }
    ]
    outputs: ['landing']
  }
  {
    name: 'partners'
    resourceGroup: 'lake'
    landing: [{ container: 'drop', prefixes: ['daily/'] }]
    outputs: ['drop']
    systemTopic: 'partners-events'
  }
  {
    name: 'archive'
    resourceGroup: 'lake'
    outputs: ['scored']
  }
]
param ledgerContainer = 'landfall-ledger'
param retentionDays = 365
param pollSeconds = 30
param sweepMinutes = 30
param datastoreUris = 'percent-encoded'
param metadataPrefix = 'order_'
param furtherSettings = { DATASTORE: 'workspaceblobstore' }
param pythonVersion = '3.13'
param instanceMemoryMB = 4096
param maximumInstances = 100
param alwaysReady = [
  { name: 'function:on_landing', instanceCount: 1 }
  { name: 'function:poll', instanceCount: 1 }
]
param operators = [
  { principalId: '22222222-2222-2222-2222-222222222222', principalType: 'User' }
  { principalId: '33333333-3333-3333-3333-333333333333', principalType: 'Group' }
]
param storageSku = 'Standard_ZRS'
param logRetentionDays = 180
param actionGroupId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/watch/providers/Microsoft.Insights/actionGroups/on-call'
param limits = { openMinutes: 2800, failurePercent: 50 }
param tags = { owner: 'scoring' }
