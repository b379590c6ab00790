"""The alerts on the log, as they are deployed: with the default limits, unless another size is asked for."""

from typing import Any

from tests.infra import kql
from tests.infra.deployment import deployed, the


def alerts(size: str = "smallest") -> dict[str, dict[str, Any]]:
    """Return the properties of each log alert."""
    component = the(size, "Microsoft.Insights/components")["name"]
    return {
        rule["name"].removeprefix(f"{component}-"): rule["properties"]
        for rule in deployed(size, "Microsoft.Insights/scheduledQueryRules")
    }


def conditions() -> dict[str, dict[str, Any]]:
    """Return the condition of each log alert."""
    return {name: alert["criteria"]["allOf"][0] for name, alert in alerts().items()}


def query_of(deployed: str) -> str:
    """Return the name of the file that a query comes from."""
    (name,) = [name for name in kql.names() if kql.deployed(kql.text(name)) == deployed]
    return name
