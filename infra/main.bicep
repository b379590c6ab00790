// Landfall in a subscription: a resource group of its own, and roles and events where files land.

targetScope = 'subscription'

import { alertLimits } from 'monitoring.bicep'

@description('A container where files land, and which of its paths are watched.')
@sealed()
type landingContainer = {
  @description('The name of the container.')
  container: string

  @description('How the watched paths begin, e.g. `landing/cancer/`: what stands before the first wildcard of each route\'s `match`. None: all paths.')
  prefixes: string[]?
}

@description('A storage account of the workspace\'s datastores; each is named once.')
@sealed()
type storageAccount = {
  @description('Its name.')
  name: string

  @description('Its resource group.')
  resourceGroup: string

  @description('Where files land in it. At most 20 paths in an account, and containers without paths: Event Grid filters by no more.')
  landing: landingContainer[]?

  @description('The containers that outputs and receipts go to: mostly those where files land, for a route has one datastore.')
  outputs: string[]?

  @description('The name of its system topic if it has one already: an account can have only one. It needs a system-assigned identity, and lies in the account\'s resource group.')
  systemTopic: string?
}

@description('Who runs the commands, `python -m scoring …`, and looks at the workbook.')
@sealed()
type operator = {
  @description('The object id.')
  principalId: string

  @description('What it is: a person, a group, or a program.')
  principalType: ('User' | 'Group' | 'ServicePrincipal')
}

@description('Instances of a function that are kept running, which are paid for while they wait.')
@sealed()
type readyInstances = {
  @description('The function.')
  name: 'function:on_landing' | 'function:on_poison' | 'function:poll' | 'function:sweep'

  @description('How many instances.')
  @minValue(1)
  instanceCount: int
}

@description('The name of the environment; names of resources are derived from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of the app and of what is created with it.')
@metadata({ azd: { type: 'location' } })
param location string

@description('The name of the resource group that is created.')
@minLength(1)
@maxLength(90)
param resourceGroupName string = 'rg-${environmentName}'

@description('The name of the Azure ML workspace, which exists.')
@minLength(3)
param workspaceName string

@description('The resource group of the workspace.')
@minLength(1)
param workspaceResourceGroup string

@description('The storage accounts where files land and outputs go, which exist. None: the app runs, and nothing comes to it.')
param storageAccounts storageAccount[] = []

@description('The container of the ledger.')
@minLength(3)
@maxLength(63)
param ledgerContainer string = 'landfall'

@description('Days for which the ledger keeps ended jobs; then a lifecycle rule deletes them.')
@minValue(30)
@maxValue(3650)
param retentionDays int = 90

@description('Seconds from one poll of the open jobs to the next.')
@allowed([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30])
param pollSeconds int = 15

@description('Minutes from one sweep, which finds what no event told of, to the next.')
@allowed([1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30])
param sweepMinutes int = 10

@description('How a path stands in an azureml: URI.')
@allowed(['literal', 'percent-encoded'])
param datastoreUris string = 'literal'

@description('How the names of a landed blob\'s metadata begin that stand in its event as its correlation.')
@minLength(1)
@maxLength(32)
param metadataPrefix string = 'landfall_'

@description('Further app settings: those that routes.toml names as `\${NAME}`, and those for other clouds or private addresses. No secrets: they could be read by whoever may read the app.')
param furtherSettings object = {}

@description('The version of Python.')
@allowed(['3.11', '3.13'])
param pythonVersion string = '3.11'

@description('Memory of an instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('How many instances each function may have at once.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that are kept running, so that a file waits for no cold start. None by default.')
param alwaysReady readyInstances[] = []

@description('Who may see and change the ledger, and look at queues, dead letters and logs. They need roles on the workspace and on the accounts where files land besides.')
param operators operator[] = []

@description('How many copies of the ledger and the queues there are, and where: LRS in one data centre, ZRS in three zones of the region, G… also in another region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('Days for which log lines are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Resource id of the action group that the alerts tell. Empty: alerts are shown in the portal only.')
param actionGroupId string = ''

@description('From when on the alerts are raised, where that is to differ from the defaults.')
param limits alertLimits = {}

@description('Further tags of all that is created.')
param tags object = {}

var token = uniqueString(subscription().id, environmentName, location)
var allTags = union(tags, { 'azd-env-name': environmentName })

var landingsQueue = 'landings' // as the app and host.json have it
var poisonQueue = '${landingsQueue}-poison'
var packageContainer = 'package'
var deadLetterContainer = 'dead-letters'

@description('How the subjects of the events begin that are wanted of a container.')
func subjects(landing landingContainer) string[] =>
  map(
    empty(landing.?prefixes) ? [''] : landing.prefixes!,
    prefix => '/blobServices/default/containers/${landing.container}/blobs/${prefix}'
  )

var described = map(storageAccounts, account => {
  ...account
  topic: account.?systemTopic ?? 'evgst-${account.name}'
  containers: union(map(account.?landing ?? [], landing => landing.container), []) // each once
  subjects: flatten(map(account.?landing ?? [], landing => subjects(landing)))
})
var names = map(storageAccounts, account => account.name)
var twice = filter(names, (name, i) => indexOf(names, name) < i)
var crowded = filter(described, account => length(account.subjects) > 20)
var mistakes = concat(
  map(twice, name => '${name} is named twice, but what is said of an account goes into one entry'),
  map(crowded, account => 'more than 20 paths and containers are watched in ${account.name}')
)
var accounts = empty(mistakes) ? described : fail('storageAccounts: ${join(mistakes, '; ')}.')
var landingAccounts = filter(accounts, account => !empty(account.containers))

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'identity.bicep' = {
  name: 'landfall-identity'
  scope: group
  params: {
    location: location
    name: 'id-landfall-${token}'
    tags: allTags
  }
}

module storage 'storage.bicep' = {
  name: 'landfall-storage'
  scope: group
  params: {
    location: location
    name: 'st${token}'
    sku: storageSku
    packageContainer: packageContainer
    ledgerContainer: ledgerContainer
    deadLetterContainer: deadLetterContainer
    landingsQueue: landingsQueue
    poisonQueue: poisonQueue
    retentionDays: retentionDays
    tags: allTags
  }
}

module logs 'logs.bicep' = {
  name: 'landfall-logs'
  scope: group
  params: {
    location: location
    workspaceName: 'log-landfall-${token}'
    name: 'appi-landfall-${token}'
    retentionDays: logRetentionDays
    tags: allTags
  }
}

module topic 'topic.bicep' = {
  name: 'landfall-topic'
  scope: group
  params: {
    location: location
    name: 'evgt-landfall-${token}'
    tags: allTags
  }
}

module rolesOfApp 'roles.bicep' = {
  name: 'landfall-roles-of-app'
  scope: group
  params: {
    principalId: identity.outputs.principalId
    hostAccount: storage.outputs.name
    hostQueues: [landingsQueue, poisonQueue]
    topic: topic.outputs.name
    applicationInsights: logs.outputs.name
  }
}

module rolesOfOperators 'roles.bicep' = [
  for one in operators: {
    name: 'landfall-roles-of-operator-${uniqueString(one.principalId)}'
    scope: group
    params: {
      principalId: one.principalId
      principalType: one.principalType
      operatedAccount: storage.outputs.name
      ledgerContainer: ledgerContainer
      deadLetterContainer: deadLetterContainer
      operatedQueues: [landingsQueue, poisonQueue]
      topic: topic.outputs.name // doctor asks it whether it takes events
    }
  }
]

module rolesInWorkspace 'roles.bicep' = {
  name: 'landfall-roles-in-workspace-${token}'
  scope: resourceGroup(workspaceResourceGroup)
  params: {
    principalId: identity.outputs.principalId
    workspace: workspaceName
  }
}

module rolesInStorage 'roles.bicep' = [
  for account in accounts: {
    name: 'landfall-roles-in-${account.name}-${token}'
    scope: resourceGroup(account.resourceGroup)
    params: {
      principalId: identity.outputs.principalId
      dataAccount: account.name
      readContainers: account.containers
      writeContainers: union(account.?outputs ?? [], [])
    }
  }
]

module app 'app.bicep' = {
  name: 'landfall-app'
  scope: group
  params: {
    location: location
    name: 'func-landfall-${token}'
    planName: 'plan-landfall-${token}'
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReady: alwaysReady
    identityId: identity.outputs.id
    packageUrl: '${storage.outputs.blobUrl}${packageContainer}'
    settings: union(furtherSettings, {
      // the host's
      AzureWebJobsStorage__blobServiceUri: storage.outputs.blobUrl
      AzureWebJobsStorage__queueServiceUri: storage.outputs.queueUrl
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identity.outputs.clientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: logs.outputs.connectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.outputs.clientId};Authorization=AAD'
      // Landfall's
      AZURE_CLIENT_ID: identity.outputs.clientId
      CompletionTopic__topicEndpointUri: topic.outputs.endpoint
      AZUREML_ARM_SUBSCRIPTION: subscription().subscriptionId
      AZUREML_ARM_RESOURCEGROUP: workspaceResourceGroup
      AZUREML_ARM_WORKSPACE_NAME: workspaceName
      LANDFALL_LEDGER_CONTAINER: ledgerContainer
      LANDFALL_DATASTORE_URIS: datastoreUris
      LANDFALL_METADATA_PREFIX: metadataPrefix
      LANDFALL_POLL_SECONDS: string(pollSeconds)
      LANDFALL_SWEEP_MINUTES: string(sweepMinutes)
      LANDFALL_RETENTION_DAYS: string(retentionDays)
    })
    tags: allTags
  }
  dependsOn: [rolesOfApp, rolesInWorkspace, rolesInStorage] // it starts at once
}

module locations 'landing/location.bicep' = [
  for account in landingAccounts: {
    name: 'landfall-location-${account.name}-${token}'
    scope: resourceGroup(account.resourceGroup)
    params: { accountName: account.name }
  }
]

module systemTopics 'landing/topic.bicep' = [
  for (account, i) in landingAccounts: {
    name: 'landfall-topic-${account.name}-${token}'
    scope: resourceGroup(account.resourceGroup)
    params: {
      accountName: account.name
      location: locations[i].outputs.location
      name: account.topic
      exists: !empty(account.?systemTopic)
      tags: allTags
    }
  }
]

module rolesOfDelivery 'roles.bicep' = [
  for (account, i) in landingAccounts: {
    name: 'landfall-roles-of-delivery-${account.name}'
    scope: group
    params: {
      principalId: systemTopics[i].outputs.principalId
      deliveryAccount: storage.outputs.name
      deliveryQueue: landingsQueue
      deadLetterContainer: deadLetterContainer
    }
  }
]

module subscriptions 'landing/subscriptions.bicep' = [
  for (account, i) in landingAccounts: {
    name: 'landfall-events-${account.name}-${token}'
    scope: resourceGroup(account.resourceGroup)
    params: {
      topicName: account.topic
      namePrefix: 'landfall-${token}'
      subjects: account.subjects
      containerSubjects: map(account.containers, container => '/blobServices/default/containers/${container}/blobs/')
      storageAccountId: storage.outputs.id
      queueName: landingsQueue
      deadLetterContainer: deadLetterContainer
    }
    dependsOn: [systemTopics[i], rolesOfDelivery[i], app] // late: what the queue refuses (403) is not tried again
  }
]

module monitoring 'monitoring.bicep' = {
  name: 'landfall-monitoring'
  scope: group
  params: {
    location: location
    applicationInsightsId: logs.outputs.applicationInsightsId
    workspaceId: logs.outputs.workspaceId
    systemTopicIds: [for (account, i) in landingAccounts: systemTopics[i].outputs.id]
    actionGroupId: actionGroupId
    sweepMinutes: sweepMinutes
    limits: limits
    tags: allTags
  }
}

@description('The resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The name of the function app.')
output AZURE_FUNCTION_APP_NAME string = app.outputs.name

@description('The resource id of the topic of the completion events: subscribers name it.')
output LANDFALL_TOPIC_ID string = topic.outputs.id

@description('The object id of the app\'s identity: for roles on what this template does not know.')
output LANDFALL_PRINCIPAL_ID string = identity.outputs.principalId
