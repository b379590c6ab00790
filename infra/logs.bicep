// Log Analytics and Application Insights: where log lines go, without keys.

@description('Where both are.')
param location string

@description('The name of the Log Analytics workspace.')
param workspaceName string

@description('The name of the Application Insights component.')
param name string

@description('Days for which log lines are kept.')
param retentionDays int

@description('Tags of both.')
param tags object

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true // the workspace has keys, and anybody with a key could write log lines
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: name
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true // else the connection string alone would let anybody write log lines
  }
}

@description('The resource id of the Log Analytics workspace.')
output workspaceId string = workspace.id

@description('The resource id of the Application Insights component.')
output applicationInsightsId string = insights.id

@description('The name of the Application Insights component.')
output name string = insights.name

@description('Where the host sends log lines. No secret: without a role it opens nothing.')
output connectionString string = insights.properties.ConnectionString
