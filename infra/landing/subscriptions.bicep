// What of a storage account's events comes to the queue.
//
// Two subscriptions, for their filters differ. A directory may be renamed to the parent of a
// watched path, and no sweep finds a renamed file (it keeps its time), so renames are filtered by
// container only, and not by API: the app looks at the rest itself.

@description('The name of the system topic.')
param topicName string

@description('How the names of the subscriptions begin.')
@maxLength(50)
param namePrefix string

@description('The beginnings of the subjects of blobs that land. Event Grid takes 25 values in all filters of a subscription, and five are APIs.')
@minLength(1)
@maxLength(20)
param subjects string[]

@description('The beginnings of the subjects in the containers that are watched.')
@minLength(1)
@maxLength(25)
param containerSubjects string[]

@description('The resource id of the storage account of the queue and of the dead letters.')
param storageAccountId string

@description('The queue that events come to.')
param queueName string

@description('The container of the events that could not be delivered.')
param deadLetterContainer string

// scoring/events/storage.py accepts these; CreateFile and SftpCreate come first and are empty.
var committingApis = ['CopyBlob', 'FlushWithClose', 'PutBlob', 'PutBlockList', 'SftpCommit']

var byIdentity = { type: 'SystemAssigned' }

var delivery = {
  identity: byIdentity
  destination: {
    endpointType: 'StorageQueue'
    properties: {
      resourceId: storageAccountId
      queueName: queueName
      queueMessageTimeToLiveInSeconds: 7 * 24 * 60 * 60 // a message outlasts a long weekend's outage
    }
  }
}

var deadLetters = {
  identity: byIdentity
  deadLetterDestination: {
    endpointType: 'StorageBlob'
    properties: {
      resourceId: storageAccountId
      blobContainerName: deadLetterContainer
    }
  }
}

var retries = {
  // the most that Event Grid allows
  eventTimeToLiveInMinutes: 1440
  maxDeliveryAttempts: 30
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource created 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: '${namePrefix}-created'
  properties: {
    eventDeliverySchema: 'EventGridSchema' // the names in the filters are this schema's
    deliveryWithResourceIdentity: delivery
    deadLetterWithResourceIdentity: deadLetters
    retryPolicy: retries
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      advancedFilters: [
        { operatorType: 'StringIn', key: 'data.api', values: committingApis }
        { operatorType: 'StringBeginsWith', key: 'subject', values: subjects }
      ]
    }
  }
}

resource renamed 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: '${namePrefix}-renamed'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    deliveryWithResourceIdentity: delivery
    deadLetterWithResourceIdentity: deadLetters
    retryPolicy: retries
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobRenamed', 'Microsoft.Storage.DirectoryRenamed']
      advancedFilters: [
        { operatorType: 'StringBeginsWith', key: 'subject', values: containerSubjects }
      ]
    }
  }
  dependsOn: [created] // a topic takes one change at a time
}
