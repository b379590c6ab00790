// What an operator looks at and is woken by: a workbook, and alerts on the log and on Event Grid.

@export()
@description('From when on alerts are raised. What is logged arrives some minutes late.')
@sealed()
type alertLimits = {
  @description('Minutes without a run of poll that came through.')
  @minValue(5)
  @maxValue(110)
  pollSilenceMinutes: int?

  @description('Minutes without a run of the sweep that came through.')
  @minValue(5)
  @maxValue(110)
  sweepSilenceMinutes: int?

  @description('Minutes for which nobody may know whether the endpoint took an attempt. The look-out for it takes 15.')
  @minValue(20)
  @maxValue(2800)
  unknownMinutes: int?

  @description('Minutes for which a job may be open. The log is read two days back.')
  @minValue(60)
  @maxValue(2800)
  openMinutes: int?

  @description('Minutes for which the topic may refuse an event.')
  @minValue(1)
  @maxValue(1400)
  unpublishedMinutes: int?

  @description('Percent of the jobs of a route, in the last hour, that may fail or time out.')
  @minValue(0)
  @maxValue(99)
  failurePercent: int?
}

@description('Where the workbook and the log alerts are: the region of the Log Analytics workspace.')
param location string

@description('Tags of all resources.')
param tags object

@description('Resource id of the Application Insights component that the function app logs to.')
param applicationInsightsId string

@description('Resource id of the Log Analytics workspace behind it.')
param workspaceId string

@description('Resource ids of the Event Grid system topics whose events come to the queue; dead letters raise an alert.')
param systemTopicIds string[]

@description('Resource id of the action group that the alerts tell; empty: alerts are shown in the portal only.')
param actionGroupId string

@description('Minutes from one sweep to the next.')
param sweepMinutes int

@description('From when on the alerts are raised.')
param limits alertLimits

// The limits, with their defaults.
var most = {
  pollSilenceMinutes: limits.?pollSilenceMinutes ?? 15
  sweepSilenceMinutes: limits.?sweepSilenceMinutes ?? 2 * sweepMinutes + 15 // two were missed
  unknownMinutes: limits.?unknownMinutes ?? 60
  openMinutes: limits.?openMinutes ?? 1440
  unpublishedMinutes: limits.?unpublishedMinutes ?? 15
  failurePercent: limits.?failurePercent ?? 20
}

// Of which component the lines are, and the tables that the queries share.
var component = 'let component = \'${applicationInsightsId}\';'
var lines = loadTextContent('monitoring/queries/lines.kql')
var steps = loadTextContent('monitoring/queries/steps.kql')
var runs = loadTextContent('monitoring/queries/runs.kql')
var shared = join([component, lines, steps, runs], '\n')

var heartbeat = loadTextContent('monitoring/queries/heartbeat.kql')
var troubledRoutes = loadTextContent('monitoring/queries/troubled-routes.kql')
var unknown = loadTextContent('monitoring/queries/unknown.kql')

var charts = [
  {
    name: 'heartbeat'
    title: 'Last heartbeat of poll and sweep'
    query: heartbeat
    visualization: 'table'
  }
  {
    name: 'versions'
    title: 'Versions of the app'
    query: loadTextContent('monitoring/queries/versions.kql')
    visualization: 'table'
  }
  {
    name: 'jobs-by-state'
    title: 'Jobs by state'
    query: loadTextContent('monitoring/queries/jobs-by-state.kql')
    visualization: 'areachart'
  }
  {
    name: 'time-to-submit'
    title: 'Minutes from claim to batch job'
    query: loadTextContent('monitoring/queries/time-to-submit.kql')
    visualization: 'table'
  }
  {
    name: 'time-to-finish'
    title: 'Minutes from batch job to end'
    query: loadTextContent('monitoring/queries/time-to-finish.kql')
    visualization: 'table'
  }
  {
    name: 'open-by-age'
    title: 'Open jobs by age'
    query: loadTextContent('monitoring/queries/open-by-age.kql')
    visualization: 'table'
  }
  {
    name: 'failures-by-reason'
    title: 'Jobs that ended without a result, by reason'
    query: loadTextContent('monitoring/queries/failures-by-reason.kql')
    visualization: 'table'
  }
  {
    name: 'troubled-routes'
    title: 'Routes that are left out, or not swept'
    query: troubledRoutes
    visualization: 'table'
  }
  {
    name: 'unknown'
    title: 'Unknown outcomes'
    query: unknown
    visualization: 'table'
  }
  {
    name: 'quarantine'
    title: 'Kept messages'
    query: loadTextContent('monitoring/queries/quarantine.kql')
    visualization: 'table'
  }
  {
    name: 'poison'
    title: 'Messages that were delivered in vain'
    query: loadTextContent('monitoring/queries/poison.kql')
    visualization: 'table'
  }
  {
    name: 'file'
    title: 'The way of a file: name a part of its path above'
    query: loadTextContent('monitoring/queries/file.kql')
    visualization: 'table'
  }
]

var parametersItem = {
  type: 9
  name: 'parameters'
  content: {
    version: 'KqlParameterItem/1.0'
    style: 'pills'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    parameters: [
      {
        id: guid('landfall', 'range')
        version: 'KqlParameterItem/1.0'
        name: 'range'
        label: 'Time'
        type: 4
        isRequired: true
        value: { durationMs: 172800000 }
        typeSettings: {
          allowCustom: true
          selectableValues: [
            { durationMs: 14400000 }
            { durationMs: 86400000 }
            { durationMs: 172800000 }
            { durationMs: 604800000 }
            { durationMs: 2592000000 }
          ]
        }
      }
      {
        id: guid('landfall', 'file')
        version: 'KqlParameterItem/1.0'
        name: 'file'
        label: 'File'
        type: 1
        value: ''
      }
    ]
  }
}

var chartItems = map(charts, chart => {
  type: 3
  name: chart.name
  content: {
    version: 'KqlItem/1.0'
    title: chart.title
    query: '${shared}\n${chart.query}'
    size: 0
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    crossComponentResources: [workspaceId]
    timeContextFromParameter: 'range'
    visualization: chart.visualization
    showExportToExcel: true
  }
})

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'landfall', applicationInsightsId)
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Landfall ${last(split(applicationInsightsId, '/'))}'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat([parametersItem], chartItems)
      fallbackResourceIds: [workspaceId]
    })
  }
}

// `measure` is the column that is held against `limit`; without one the rows are counted.
var alerts = [
  {
    name: 'no-heartbeat-poll'
    title: 'Landfall: poll is silent'
    about: 'No run of poll came through: no job goes on. docs/operate.md, Alerts.'
    query: heartbeat
    measure: 'minutes'
    limit: most.pollSilenceMinutes
    split: [{ name: 'function', operator: 'Include', values: ['poll'] }]
    severity: 1
    every: 'PT5M'
    window: 'PT2H'
  }
  {
    name: 'no-heartbeat-sweep'
    title: 'Landfall: sweep is silent'
    about: 'No run of the sweep came through: files whose events were lost are not found. docs/operate.md, Alerts.'
    query: heartbeat
    measure: 'minutes'
    limit: most.sweepSilenceMinutes
    split: [{ name: 'function', operator: 'Include', values: ['sweep'] }]
    severity: 2
    every: 'PT15M'
    window: 'PT2H'
  }
  {
    name: 'kept'
    title: 'Landfall: poison or quarantine'
    about: 'A message was delivered in vain. docs/operate.md, Alerts.'
    query: loadTextContent('monitoring/queries/kept.kql')
    measure: ''
    limit: 0
    split: []
    severity: 2
    every: 'PT15M'
    window: 'PT1H' // longer than the log may be late
  }
  {
    name: 'troubled-routes'
    title: 'Landfall: a route does not work'
    about: 'A route is left out, so its files are not scored, or its sweeps fail, so files whose events were lost are not found. docs/operate.md, Alerts.'
    query: troubledRoutes
    measure: ''
    limit: 0
    split: []
    severity: 2
    every: 'PT15M'
    window: 'PT2H'
  }
  {
    name: 'unknown'
    title: 'Landfall: an outcome stays unknown'
    about: 'Nobody knows whether the endpoint took an attempt. docs/operate.md, Alerts.'
    query: unknown
    measure: 'minutes'
    limit: most.unknownMinutes
    split: []
    severity: 2
    every: 'PT15M'
    window: 'P2D'
  }
  {
    name: 'oldest-open'
    title: 'Landfall: a job has been open for long'
    about: 'The oldest open job of a route has been open for too long. docs/operate.md, Alerts.'
    query: loadTextContent('monitoring/queries/oldest-open.kql')
    measure: 'minutes'
    limit: most.openMinutes
    split: [{ name: 'route', operator: 'Include', values: ['*'] }]
    severity: 2
    every: 'PT30M'
    window: 'P2D'
  }
  {
    name: 'not-published'
    title: 'Landfall: an event is not published'
    about: 'The topic does not take events: subscribers are not told. docs/operate.md, Alerts.'
    query: loadTextContent('monitoring/queries/not-published.kql')
    measure: 'minutes'
    limit: most.unpublishedMinutes
    split: []
    severity: 1
    every: 'PT15M'
    window: 'P1D'
  }
  {
    name: 'failure-rate'
    title: 'Landfall: many jobs fail'
    about: 'Too many jobs of a route failed or timed out in the last hour. docs/operate.md, Alerts.'
    query: loadTextContent('monitoring/queries/failure-rate.kql')
    measure: 'percent'
    limit: most.failurePercent
    split: [{ name: 'route', operator: 'Include', values: ['*'] }]
    severity: 2
    every: 'PT15M'
    window: 'PT1H'
  }
]

resource logAlerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: '${last(split(applicationInsightsId, '/'))}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.title
      description: alert.about
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.every
      // A window is a day at the most; what has to be read two days back overrides it.
      windowSize: alert.window == 'P2D' ? 'P1D' : alert.window
      overrideQueryTimeRange: alert.window == 'P2D' ? 'P2D' : null
      autoMitigate: true
      skipQueryValidation: true // a new workspace has no AppTraces until the first line comes
      criteria: {
        allOf: [
          {
            query: '${shared}\n${alert.query}'
            timeAggregation: empty(alert.measure) ? 'Count' : 'Maximum'
            metricMeasureColumn: empty(alert.measure) ? null : alert.measure
            dimensions: alert.split
            operator: 'GreaterThan'
            threshold: alert.limit
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: empty(actionGroupId) ? [] : [actionGroupId]
      }
    }
  }
]

// A metric, not a query: the log knows nothing of events that did not reach the queue.
var undelivered = flatten(map(systemTopicIds, topic => [
  {
    topic: topic
    name: 'dead-letters'
    metric: 'DeadLetteredCount'
    about: 'Event Grid could not deliver events to the queue, and kept them as dead letters. docs/operate.md, Alerts.'
  }
  {
    topic: topic
    name: 'dropped-events'
    metric: 'DroppedEventCount'
    about: 'Event Grid could neither deliver events to the queue nor keep them as dead letters. docs/operate.md, Alerts.'
  }
]))

resource metricAlerts 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for one in undelivered: {
    name: '${last(split(applicationInsightsId, '/'))}-${one.name}-${uniqueString(one.topic)}'
    location: 'global'
    tags: tags
    properties: {
      description: one.about
      severity: 2
      enabled: true
      scopes: [one.topic]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT15M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: one.name
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: one.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: empty(actionGroupId) ? [] : [{ actionGroupId: actionGroupId }]
    }
  }
]
