// All role assignments, each the least that works, each with what breaks without it.
//
// Used once in each resource group that holds something to give a role on; what is not named is
// left out. What needs a role is created after it. A role may take minutes until it works.

@description('The object id of who gets the roles.')
param principalId string

@description('What that is.')
@allowed(['ServicePrincipal', 'User', 'Group'])
param principalType string = 'ServicePrincipal'

@description('The app\'s own storage account, for the app: the ledger, the package and the host\'s own blobs.')
param hostAccount string = ''

@description('The queues of that account that the app takes messages from.')
param hostQueues string[] = []

@description('The Event Grid topic that the app publishes to.')
param topic string = ''

@description('The Application Insights component that the app logs to.')
param applicationInsights string = ''

@description('The app\'s own storage account, for an operator, who may look at its resource group, too.')
param operatedAccount string = ''

@description('The container of that account that is the ledger.')
param ledgerContainer string = 'none'

@description('The queues of that account that an operator may look at.')
param operatedQueues string[] = []

@description('The Azure ML workspace whose batch endpoints the app invokes.')
param workspace string = ''

@description('A storage account that holds files to score, or outputs.')
param dataAccount string = ''

@description('The containers of that account that files land in.')
param readContainers string[] = []

@description('The containers of that account that outputs and receipts go to.')
param writeContainers string[] = []

@description('The app\'s own storage account, for the system topic of an account where files land.')
param deliveryAccount string = ''

@description('The queue of that account that its events are delivered to.')
param deliveryQueue string = 'none'

@description('The container of that account that what cannot be delivered goes to.')
param deadLetterContainer string = 'none'

var role = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  blobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  blobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  queueDataMessageSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  eventGridDataSender: 'd5a91429-5739-47e2-a06b-3470a27159e7'
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  azureMLDataScientist: 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
  monitoringReader: '43d0d8ad-25c7-4714-9337-8ba259a9fe05'
  queueDataReader: '19e7f393-937e-4f77-808e-94535e297925'
}

// --- the app, on what is its own ----------------------------------------------------------------

resource host 'Microsoft.Storage/storageAccounts@2024-01-01' existing = if (!empty(hostAccount)) {
  name: empty(hostAccount) ? 'none' : hostAccount
}

// Without it the host does not start: it creates containers for its locks, and reads its package.
// Nor can the ledger be written. The host asks for Owner; of a container it could create none.
resource hostBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(hostAccount)) {
  name: guid(host.id, principalId, role.blobDataOwner)
  scope: host
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataOwner)
  }
}

resource hostQueueService 'Microsoft.Storage/storageAccounts/queueServices@2024-01-01' existing = if (!empty(hostAccount)) {
  parent: host
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [
  for queue in hostQueues: {
    parent: hostQueueService
    name: queue
  }
]

// Without it no landing is processed. A processor of messages would not be enough: the host also
// makes a message visible again, and puts one that has failed too often into the poison queue.
resource hostMessages 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queue, i) in hostQueues: {
    name: guid(queues[i].id, principalId, role.queueDataContributor)
    scope: queues[i]
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.queueDataContributor)
    }
  }
]

resource completionTopic 'Microsoft.EventGrid/topics@2025-02-15' existing = if (!empty(topic)) {
  name: empty(topic) ? 'none' : topic
}

// Without it the app publishes no event: jobs stay open, and the log says not-announced. For an
// operator: `doctor`, which asks the topic, may be refused.
resource publishing 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(topic)) {
  name: guid(completionTopic.id, principalId, role.eventGridDataSender)
  scope: completionTopic
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.eventGridDataSender)
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = if (!empty(applicationInsights)) {
  name: empty(applicationInsights) ? 'none' : applicationInsights
}

// Without it no log line arrives, for the component takes no key.
resource logging 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(applicationInsights)) {
  name: guid(insights.id, principalId, role.monitoringMetricsPublisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.monitoringMetricsPublisher)
  }
}

// --- the app, on what was there before ----------------------------------------------------------

resource azureML 'Microsoft.MachineLearningServices/workspaces@2024-10-01' existing = if (!empty(workspace)) {
  name: empty(workspace) ? 'none' : workspace
}

// Without it endpoints and datastores are not found, nothing is submitted (held, 403), and nothing
// is canceled.
resource scoring 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(workspace)) {
  name: guid(azureML.id, principalId, role.azureMLDataScientist)
  scope: azureML
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.azureMLDataScientist)
  }
}

resource data 'Microsoft.Storage/storageAccounts@2024-01-01' existing = if (!empty(dataAccount)) {
  name: empty(dataAccount) ? 'none' : dataAccount
}

resource dataBlobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' existing = if (!empty(dataAccount)) {
  parent: data
  name: 'default'
}

resource landing 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [
  for container in readContainers: {
    parent: dataBlobs
    name: container
  }
]

// Without it the sweep fails, files are submitted unchecked (unseen), and a batch job, which runs
// as who invoked it, cannot read its input unless the datastore has credentials.
resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, i) in readContainers: {
    name: guid(landing[i].id, principalId, role.blobDataReader)
    scope: landing[i]
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataReader)
    }
  }
]

resource outputs 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' existing = [
  for container in writeContainers: {
    parent: dataBlobs
    name: container
  }
]

// Without it batch jobs cannot write their outputs unless the datastore has credentials, an output
// is not looked at (verified=no), and no receipt is left (no-receipt).
resource writing 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (container, i) in writeContainers: {
    name: guid(outputs[i].id, principalId, role.blobDataContributor)
    scope: outputs[i]
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataContributor)
    }
  }
]

// --- a system topic, on where its events go -----------------------------------------------------

resource delivery 'Microsoft.Storage/storageAccounts@2024-01-01' existing = if (!empty(deliveryAccount)) {
  name: empty(deliveryAccount) ? 'none' : deliveryAccount

  resource queueService 'queueServices' existing = {
    name: 'default'

    resource queue 'queues' existing = {
      name: deliveryQueue
    }
  }

  resource blobService 'blobServices' existing = {
    name: 'default'

    resource container 'containers' existing = {
      name: deadLetterContainer
    }
  }
}

// Without it no event comes to the queue: what lands is found by the sweep only.
resource sending 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deliveryAccount)) {
  name: guid(delivery::queueService::queue.id, principalId, role.queueDataMessageSender)
  scope: delivery::queueService::queue
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.queueDataMessageSender)
  }
}

// Without it an event that could not be delivered is dropped, and nobody can see which one it was.
resource deadLettering 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(deliveryAccount)) {
  name: guid(delivery::blobService::container.id, principalId, role.blobDataContributor)
  scope: delivery::blobService::container
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataContributor)
  }
}

// --- an operator, on what is the app's ----------------------------------------------------------
// No roles on what was there before: an operator has them from deploying models, and assigning a role
// a second time, under another name, fails a deployment.

resource operated 'Microsoft.Storage/storageAccounts@2024-01-01' existing = if (!empty(operatedAccount)) {
  name: empty(operatedAccount) ? 'none' : operatedAccount

  resource blobService 'blobServices' existing = {
    name: 'default'

    resource ledger 'containers' existing = {
      name: ledgerContainer
    }

    resource deadLetters 'containers' existing = {
      name: deadLetterContainer
    }
  }

  resource queueService 'queueServices' existing = {
    name: 'default'
  }
}

// Without it `ledger` shows and changes nothing.
resource keeping 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatedAccount)) {
  name: guid(operated::blobService::ledger.id, principalId, role.blobDataContributor)
  scope: operated::blobService::ledger
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataContributor)
  }
}

// Without it nobody can see what could not be delivered, and why.
resource readingDeadLetters 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatedAccount)) {
  name: guid(operated::blobService::deadLetters.id, principalId, role.blobDataReader)
  scope: operated::blobService::deadLetters
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.blobDataReader)
  }
}

resource watched 'Microsoft.Storage/storageAccounts/queueServices/queues@2024-01-01' existing = [
  for queue in operatedQueues: {
    parent: operated::queueService
    name: queue
  }
]

// Without it `doctor` cannot say whether the queues are there, and how many messages wait.
resource watching 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queue, i) in operatedQueues: {
    name: guid(watched[i].id, principalId, role.queueDataReader)
    scope: watched[i]
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.queueDataReader)
    }
  }
]

// Without it the workbook, the alerts and the log lines are not seen.
resource looking 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatedAccount)) {
  name: guid(resourceGroup().id, principalId, role.monitoringReader)
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.monitoringReader)
  }
}
