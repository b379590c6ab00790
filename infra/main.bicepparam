// What `azd up` deploys. `azd env set NAME VALUE` sets what is read here; further parameters of
// main.bicep go here, too.
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param workspaceName = readEnvironmentVariable('AZUREML_ARM_WORKSPACE_NAME')
param workspaceResourceGroup = readEnvironmentVariable('AZUREML_ARM_RESOURCEGROUP')

// Who deploys may run the commands afterwards. azd says who that is, but not that it is no person:
// `azd env set AZURE_PRINCIPAL_TYPE ServicePrincipal`.
var deployer = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param operators = empty(deployer)
  ? []
  : [{ principalId: deployer, principalType: readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User') }]

// JSON, shaped as in largest.bicepparam:
// [{"name": "hearts", "resourceGroup": "scoring", "landing": [{"container": "data", "prefixes": ["landing/heart/"]}], "outputs": ["data"]}]
param storageAccounts = json(readEnvironmentVariable('LANDFALL_STORAGE_ACCOUNTS', '[]'))
