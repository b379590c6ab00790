"""The workbook and the alerts, as they would be deployed."""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.cli.bicep import compiler
from tests.infra import kql

ROOT = Path(__file__).parents[2]
BICEP = ROOT / "infra" / "monitoring.bicep"
PARAMETERS = Path(__file__).parent / "monitoring.bicepparam"
NUMBERS = {"int", "long", "real"}


def _run(*arguments: object) -> str:
    ended = subprocess.run(
        [compiler(), *map(str, arguments)],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert not re.search(r" : (?:Warning|Error|Info) ", ended.stderr), ended.stderr
    return ended.stdout


@functools.cache
def _resources() -> list[dict[str, Any]]:
    """Return what would be deployed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tests" / "infra" / PARAMETERS.name
        copy.parent.mkdir(parents=True)
        shutil.copy(PARAMETERS, copy)
        shutil.copytree(ROOT / "infra", Path(folder) / "infra")
        subscription = "00000000-0000-0000-0000-000000000000"
        where = ["--subscription-id", subscription, "--resource-group", "scoring"]
        where += ["--location", "westeurope"]
        _run("snapshot", copy, "--mode", "overwrite", *where)
        said = json.loads(copy.with_suffix(".snapshot.json").read_text("utf-8"))
    resources: list[dict[str, Any]] = said["predictedResources"]
    return resources


def _of(kind: str) -> list[dict[str, Any]]:
    return [one for one in _resources() if one["type"] == f"Microsoft.Insights/{kind}"]


def _workbook() -> dict[str, Any]:
    (workbook,) = _of("workbooks")
    content: dict[str, Any] = json.loads(workbook["properties"]["serializedData"])
    return content


def _charts() -> dict[str, dict[str, Any]]:
    return {one["name"]: one["content"] for one in _workbook()["items"] if one["type"] == 3}


def _conditions() -> dict[str, dict[str, Any]]:
    """Return the condition of each log alert."""
    return {
        rule["name"].removeprefix("hearts-"): rule["properties"]["criteria"]["allOf"][0]
        for rule in _of("scheduledQueryRules")
    }


def _query_of(deployed: str) -> str:
    """Return the name of the file that a query comes from."""
    (name,) = [name for name in kql.names() if kql.deployed(kql.text(name)) == deployed]
    return name


def test_the_compiler_has_nothing_to_say(tmp_path: Path) -> None:
    _run("build", BICEP, "--outfile", tmp_path / "out.json")
    _run("lint", BICEP)


def test_it_is_formatted() -> None:
    assert _run("format", BICEP, "--stdout") == BICEP.read_text("utf-8")


def test_every_parameter_says_what_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    _run("build", BICEP, "--outfile", out)
    parameters = json.loads(out.read_text("utf-8"))["parameters"]
    assert all("description" in one.get("metadata", {}) for one in parameters.values())


def test_what_is_deployed_is_what_is_analysed() -> None:
    """Each query of the workbook and of an alert is that of a file, and each file is deployed."""
    charts = {name: _query_of(chart["query"]) for name, chart in _charts().items()}
    assert all(name == query for name, query in charts.items())
    alerts = {_query_of(condition["query"]) for condition in _conditions().values()}
    assert alerts | set(charts) == set(kql.names())


def test_the_workbook_asks_the_workspace_for_the_time_that_is_chosen() -> None:
    parameters = _workbook()["items"][0]["content"]["parameters"]
    names = [one["name"] for one in parameters]
    for chart in _charts().values():
        assert chart["timeContextFromParameter"] in names
        assert chart["crossComponentResources"][0].endswith("/workspaces/hearts")
        assert set(re.findall(r"\{(\w+)\}", chart["query"])) <= set(names)


def test_what_an_alert_measures_is_in_the_answer_of_its_query() -> None:
    for condition in _conditions().values():
        columns = kql.analysed()[_query_of(condition["query"])].columns
        if condition["timeAggregation"] != "Count":
            assert columns[condition["metricMeasureColumn"]] in NUMBERS
        for dimension in condition["dimensions"]:
            assert columns[dimension["name"]] == "string"


def test_silence_raises_an_alert() -> None:
    """The query answers with a row for each function, whatever the log holds."""
    query = kql.without_comments(kql.text("heartbeat")).strip()
    assert query.startswith(
        "datatable (function:string) ['poll', 'sweep']\n| join kind=leftouter ("
    )
    after = query.partition(") on function\n")[2]
    assert "where" not in after
    asked = {
        name: condition["dimensions"][0]["values"]
        for name, condition in _conditions().items()
        if _query_of(condition["query"]) == "heartbeat"
    }
    assert asked == {"no-heartbeat-poll": ["poll"], "no-heartbeat-sweep": ["sweep"]}


def test_every_event_subscription_that_is_watched_has_both_alerts() -> None:
    (topic,) = re.findall(r"'(/subscriptions/\S+/systemTopics/\w+)'", PARAMETERS.read_text("utf-8"))
    watched = {
        rule["properties"]["criteria"]["allOf"][0]["metricName"]: rule["properties"]["scopes"]
        for rule in _of("metricAlerts")
    }
    assert watched == {"DeadLetteredCount": [topic], "DroppedEventCount": [topic]}


def test_every_alert_tells_the_action_group() -> None:
    log = [rule["properties"]["actions"]["actionGroups"] for rule in _of("scheduledQueryRules")]
    metric = [
        [action["actionGroupId"] for action in rule["properties"]["actions"]]
        for rule in _of("metricAlerts")
    ]
    assert len(log) == 7
    assert len(metric) == 2
    for groups in (*log, *metric):
        (group,) = groups
        assert group.endswith("/actionGroups/operators")


def test_every_alert_says_where_to_read_on() -> None:
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    for rule in (*_of("scheduledQueryRules"), *_of("metricAlerts")):
        said = rule["properties"]["description"]
        (headings,) = re.findall(r"docs/operate\.md, (.+)\.$", said)
        for heading in headings.replace("Queries, ", "Queries|").split("|"):
            assert re.search(rf"^###? {heading}$", page, re.MULTILINE), heading
