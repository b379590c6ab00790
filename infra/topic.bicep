// The Event Grid topic of the completion events.

@description('Where the topic is.')
param location string

@description('Its name.')
param name string

@description('Tags of the topic.')
param tags object

// CKV_AZURE_193: the app publishes from no network that could be named here; roles keep others out.
resource topic 'Microsoft.EventGrid/topics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' } // so that subscribers' queues need not take keys
  properties: {
    inputSchema: 'CloudEventSchemaV1_0' // what Landfall publishes
    disableLocalAuth: true // no keys: publishers need the role EventGrid Data Sender
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled'
  }
}

@description('The resource id: subscribers name it.')
output id string = topic.id

@description('The name.')
output name string = topic.name

@description('Where events are published.')
output endpoint string = topic.properties.endpoint
