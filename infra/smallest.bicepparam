// The required parameters only: for the snapshot beside it.
using 'main.bicep'

param environmentName = 'smallest'
param location = 'westeurope'
param workspaceName = 'hearts'
param workspaceResourceGroup = 'scoring'
