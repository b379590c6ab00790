// The one identity for everything that the app does: it outlives the app, so its roles do, too.

@description('Where the identity is.')
param location string

@description('Its name.')
param name string

@description('Tags of the identity.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
  tags: tags
}

@description('The resource id.')
output id string = identity.id

@description('The client id: app settings name the identity by it.')
output clientId string = identity.properties.clientId

@description('The object id: roles are given to it.')
output principalId string = identity.properties.principalId
