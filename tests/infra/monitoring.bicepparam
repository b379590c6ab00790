using '../../infra/monitoring.bicep'

param location = 'westeurope'
param applicationInsightsId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/scoring/providers/Microsoft.Insights/components/hearts'
param workspaceId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/scoring/providers/Microsoft.OperationalInsights/workspaces/hearts'
param systemTopicIds = [
  '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/data/providers/Microsoft.EventGrid/systemTopics/landing'
]
param actionGroupId = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/scoring/providers/Microsoft.Insights/actionGroups/operators'
