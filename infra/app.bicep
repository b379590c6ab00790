// The function app on a Flex Consumption plan.

@description('Where the app is.')
param location string

@description('Its name.')
param name string

@description('The name of its plan.')
param planName string

@description('The version of Python.')
param pythonVersion string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('How many instances each function may have at once.')
param maximumInstances int

@description('Instances that are kept running: `function:<name>` and how many.')
param alwaysReady array

@description('The resource id of the identity that the app has.')
param identityId string

@description('The container that the app is deployed from, as an address.')
param packageUrl string

@description('The app settings.')
param settings object

@description('Tags of the app and its plan.')
param tags object

// CKV_AZURE_225: zones want two instances that always run; what waits in the queue outlasts an outage.
resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true // Linux
  }
}

// CKV_AZURE_17, CKV_AZURE_222: no function answers HTTP; the public address is how it is deployed.
// CKV_AZURE_212: the plan runs as many instances as there is work for, and a file can wait.
// CKV_AZURE_213: nothing answers HTTP that could be asked; poll's heartbeat tells that it is alive.
// CKV_AZURE_18, CKV_AZURE_67, CKV_AZURE_78: Flex Consumption has no FTP and refuses `ftpsState`, so
// siteConfig has no more than it must.
resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'landfall' }) // azd finds the app by it
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: pythonVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReady
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      appSettings: map(items(settings), setting => { name: setting.key, value: setting.value })
    }
  }
}

// Deployment by user name and password, off: azd and the Azure CLI sign in instead.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

@description('The name.')
output name string = app.name
