"""The workbook and the alerts, as they would be deployed."""

import json
import re
from pathlib import Path
from typing import Any

from tests.cli.bicep import ROOT
from tests.infra import kql
from tests.infra.monitoring import (
    PARAMETERS,
    SOURCE,
    conditions,
    of,
    query_of,
    run,
)

NUMBERS = {"int", "long", "real"}


def _workbook() -> dict[str, Any]:
    (workbook,) = of("workbooks")
    content: dict[str, Any] = json.loads(workbook["properties"]["serializedData"])
    return content


def _charts() -> dict[str, dict[str, Any]]:
    return {one["name"]: one["content"] for one in _workbook()["items"] if one["type"] == 3}


def test_the_compiler_has_nothing_to_say(tmp_path: Path) -> None:
    run("build", SOURCE, "--outfile", tmp_path / "out.json")
    run("lint", SOURCE)


def test_it_is_formatted() -> None:
    assert run("format", SOURCE, "--stdout") == SOURCE.read_text("utf-8")


def test_every_parameter_says_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run("build", SOURCE, "--outfile", out)
    parameters = json.loads(out.read_text("utf-8"))["parameters"]
    assert all("description" in one.get("metadata", {}) for one in parameters.values())


def test_what_is_deployed_is_what_is_analysed() -> None:
    """Each query of the workbook and of an alert is that of a file, and each file is deployed."""
    charts = {name: query_of(chart["query"]) for name, chart in _charts().items()}
    assert all(name == query for name, query in charts.items())
    alerts = {query_of(condition["query"]) for condition in conditions().values()}
    assert alerts | set(charts) == set(kql.names())


def test_the_workbook_asks_the_workspace_for_the_time_that_is_chosen() -> None:
    parameters = _workbook()["items"][0]["content"]["parameters"]
    names = [one["name"] for one in parameters]
    for chart in _charts().values():
        assert chart["timeContextFromParameter"] in names
        assert chart["crossComponentResources"][0].endswith("/workspaces/hearts")
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


def test_every_event_subscription_that_is_watched_has_both_alerts() -> None:
    (topic,) = re.findall(r"'(/subscriptions/\S+/systemTopics/\w+)'", PARAMETERS.read_text("utf-8"))
    watched = {
        rule["properties"]["criteria"]["allOf"][0]["metricName"]: rule["properties"]["scopes"]
        for rule in of("metricAlerts")
    }
    assert watched == {"DeadLetteredCount": [topic], "DroppedEventCount": [topic]}


def test_every_alert_tells_the_action_group() -> None:
    log = [rule["properties"]["actions"]["actionGroups"] for rule in of("scheduledQueryRules")]
    metric = [
        [action["actionGroupId"] for action in rule["properties"]["actions"]]
        for rule in of("metricAlerts")
    ]
    assert len(log) == 7
    assert len(metric) == 2
    for groups in (*log, *metric):
        (group,) = groups
        assert group.endswith("/actionGroups/operators")


def test_every_alert_says_where_to_read_on() -> None:
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    for rule in (*of("scheduledQueryRules"), *of("metricAlerts")):
        said = rule["properties"]["description"]
        (headings,) = re.findall(r"docs/operate\.md, (.+)\.$", said)
        for heading in headings.replace("Queries, ", "Queries|").split("|"):
            assert re.search(rf"^###? {heading}$", page, re.MULTILINE), heading
