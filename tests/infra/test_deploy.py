"""docs/deploy.md: its sums are right, and its parameters are those of the template."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from scoring.settings import read_settings
from tests.infra.deployment import as_in_azure, deployed
from tests.pages import ROOT, page, rows, section

TEXT = page("deploy")
TEMPLATE = ROOT / "infra" / "main.bicep"
DAYS = 30
TOPICS = "Microsoft.EventGrid/systemTopics"


def number(text: str) -> float:
    return float(text.replace(",", ""))


def tables() -> Iterator[list[list[str]]]:
    """Yield the tables about costs: the months, the quantities, the prices."""
    for table in re.findall(r"(?:^\|.*\n)+", section(TEXT, "What a month costs"), re.MULTILINE):
        yield rows(table)


MONTHS, QUANTITIES, PRICES = tables()


def of_the_month(column: int) -> dict[str, float]:
    return {cells[0].strip("`"): number(cells[column]) for cells in MONTHS}


def quantity(formula: str, column: int) -> float:
    found: Any = eval(formula.strip("`"), {"__builtins__": {}}, of_the_month(column))
    return float(found)


@pytest.mark.parametrize("column", [1, 2])
def test_each_cost_is_its_quantity_less_what_is_free_times_its_price(column: int) -> None:
    formulas = {cells[0]: cells[1] for cells in QUANTITIES}
    assert [cells[0] for cells in PRICES] == [*formulas]
    for meter, dollars, per, free, *shown in PRICES:
        charged = max(0.0, quantity(formulas[meter], column) - number(free))
        assert f"{charged / number(per) * number(dollars):.2f}" == shown[column - 1], meter


@pytest.mark.parametrize("column", [1, 2])
def test_the_sum_is_that_of_the_costs_and_the_words_before_it_are_near(column: int) -> None:
    total = sum(number(cells[3 + column]) for cells in PRICES)
    (together,) = re.findall(r"^\| together \|.*$", TEXT, re.MULTILINE)
    assert together.split("|")[4 + column].strip() == f"{total:.2f}"
    words = re.search(r"\*\*(\d+) dollars at 1,000 files a day and (\d+) at 100,000\*\*", TEXT)
    assert words
    assert abs(int(words[column]) / total - 1) < 0.05


def test_the_month_is_that_of_the_default_settings() -> None:
    settings = read_settings(as_in_azure("smallest"))
    for column, files in ((1, 1_000), (2, 100_000)):
        month = of_the_month(column)
        assert month["files"] == files * DAYS
        assert month["ticks"] == DAYS * 24 * 3_600 / settings.poll_seconds
        assert month["sweeps"] == DAYS * 24 * 60 / settings.sweep_minutes
        assert month["pages"] == files * DAYS / 2 / 5_000


def test_the_alerts_that_are_paid_for_are_those_that_are_deployed() -> None:
    quantities = {cells[0].strip("`"): cells[1].strip("`") for cells in QUANTITIES}
    every = [
        rule["properties"]["evaluationFrequency"]
        for rule in deployed("smallest", "Microsoft.Insights/scheduledQueryRules")
    ]
    assert set(every) == {"PT5M", "PT15M", "PT30M"}
    assert every.count("PT5M") == int(quantities["alerts-5"])
    assert len(every) - every.count("PT5M") == int(quantities["alerts-15"])
    topics = {one["id"] for one in deployed("largest", TOPICS)}
    metrics = deployed("largest", "Microsoft.Insights/metricAlerts")
    watched = [one for one in metrics if one["properties"]["scopes"][0] in topics]
    assert len(watched) == len(topics) * int(quantities["alerts-metric"])


def test_the_parameters_are_those_of_the_template_with_their_defaults() -> None:
    declared = re.findall(r"^param (\w+) [^=\n]+?(?: = (.*))?$", TEMPLATE.read_text(), re.MULTILINE)
    shown = {
        cells[0].strip("`"): cells[1].strip("`") for cells in rows(section(TEXT, "Parameters"))
    }
    assert shown == {name: _shown(default) for name, default in declared}


def _shown(default: str) -> str:
    if default in ("[]", "{}", "''"):
        return "none"
    return re.sub(r"\$\{(\w+)\}", r"<\1>", default.strip("'"))
