"""The workbook and the alerts, as they would be deployed."""

import json
import re
from typing import Any

from tests.infra import kql
from tests.infra.deployment import deployed, the
from tests.infra.monitoring import alerts, conditions, query_of
from tests.pages import page, rows, section

LOG = "Microsoft.Insights/scheduledQueryRules"
METRIC = "Microsoft.Insights/metricAlerts"
NUMBERS = {"int", "long", "real"}


def _workbook() -> dict[str, Any]:
    workbook = the("smallest", "Microsoft.Insights/workbooks")["properties"]
    content: dict[str, Any] = json.loads(workbook["serializedData"])
    return content


def _charts() -> dict[str, dict[str, Any]]:
    return {one["name"]: one["content"] for one in _workbook()["items"] if one["type"] == 3}


def test_what_is_deployed_is_what_is_analysed() -> None:
    """Each query of the workbook and of an alert is that of a file, and each file is deployed."""
    charts = {name: query_of(chart["query"]) for name, chart in _charts().items()}
    assert all(name == query for name, query in charts.items())
    told = {query_of(condition["query"]) for condition in conditions().values()}
    assert told | set(charts) == set(kql.names())


def test_the_workbook_asks_the_workspace_for_the_time_that_is_chosen() -> None:
    parameters = _workbook()["items"][0]["content"]["parameters"]
    names = [one["name"] for one in parameters]
    workspace = the("smallest", "Microsoft.OperationalInsights/workspaces")["id"]
    for chart in _charts().values():
        assert chart["timeContextFromParameter"] in names
        assert chart["crossComponentResources"] == [workspace]
        assert set(re.findall(r"\{(\w+)\}", chart["query"])) <= set(names)


def test_what_an_alert_measures_is_in_the_answer_of_its_query() -> None:
    for condition in conditions().values():
        columns = kql.analysed()[query_of(condition["query"])].columns
        if condition["timeAggregation"] != "Count":
            assert columns[condition["metricMeasureColumn"]] in NUMBERS
        for dimension in condition["dimensions"]:
            assert columns[dimension["name"]] == "string"


def test_each_heartbeat_has_an_alert() -> None:
    asked = {
        name: condition["dimensions"][0]["values"]
        for name, condition in conditions().items()
        if query_of(condition["query"]) == "heartbeat"
    }
    assert asked == {"no-heartbeat-poll": ["poll"], "no-heartbeat-sweep": ["sweep"]}


def test_no_alert_is_refused_before_the_first_line_is_logged() -> None:
    """The service looks for a table that does not exist yet, unless it is told not to."""
    assert all(alert["skipQueryValidation"] for alert in alerts().values())


def test_limits_that_are_given_are_those_of_the_alerts() -> None:
    given = {
        name: alert["criteria"]["allOf"][0]["threshold"]
        for name, alert in alerts("largest").items()
    }
    assert given == {
        "no-heartbeat-poll": 15,
        "no-heartbeat-sweep": 75,
        "kept": 0,
        "troubled-routes": 0,
        "unknown": 60,
        "oldest-open": 2800,
        "not-published": 15,
        "failure-rate": 50,
    }


def test_every_system_topic_that_delivers_has_both_alerts() -> None:
    events = deployed("largest", "Microsoft.EventGrid/systemTopics/eventSubscriptions")
    topics = {one["id"].partition("/eventSubscriptions/")[0] for one in events}
    watched = {
        (metric["metricName"], *rule["properties"]["scopes"])
        for rule in deployed("largest", METRIC)
        for metric in rule["properties"]["criteria"]["allOf"]
    }
    names = ("DeadLetteredCount", "DroppedEventCount")
    assert watched == {(name, topic) for name in names for topic in topics}
    assert len(topics) == 2


def test_every_alert_tells_the_action_group() -> None:
    log = [rule["properties"]["actions"]["actionGroups"] for rule in deployed("largest", LOG)]
    metric = [
        [action["actionGroupId"] for action in rule["properties"]["actions"]]
        for rule in deployed("largest", METRIC)
    ]
    assert len(log) == len(alerts())
    assert len(metric) == 4  # two topics
    for groups in (*log, *metric):
        (group,) = groups
        assert group.endswith("/actionGroups/on-call")


def test_operate_has_a_row_for_each_alert_and_each_points_there() -> None:
    shown = {cells[0].strip("`") for cells in rows(section(page("operate"), "Alerts"))}
    metric = {rule["name"] for rule in deployed("largest", METRIC)}
    names = {re.sub(r"^appi-landfall-\w+-(.+)-\w+$", r"\1", name) for name in metric}
    assert shown == {*alerts(), *names}
    for rule in (*deployed("largest", LOG), *deployed("largest", METRIC)):
        assert rule["properties"]["description"].endswith(" docs/operate.md, Alerts.")
