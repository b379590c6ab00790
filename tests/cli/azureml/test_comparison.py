"""What counts as the same, though the service spells it otherwise."""

from typing import Any

import pytest

from scoring.cli.azureml.deploy.comparison import covers, leaves_behind

DIGEST = "0" * 63 + "a"
OTHER = "0" * 63 + "b"
UPLOAD = f"datastores/d/paths/LocalUpload/{DIGEST}/my model"


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({"a": 1, "more": 2}, {"a": 1}),
        ({"authMode": "AADToken"}, {"authMode": "aadToken"}),
        ({"compute": "azureml:/Subscriptions/S"}, {"compute": "/subscriptions/s"}),
        ({"location": "West Europe"}, {"location": "westeurope"}),
        ({"maxRetries": "3"}, {"maxRetries": 3}),
        ({"timeout": "PT1M"}, {"timeout": "PT60S"}),
        ({"condaFile": "{a: 1}"}, {"condaFile": "a: 1\n"}),
        ({"dataUri": "https://x/y/"}, {"dataUri": "https://x/y"}),
        (
            {"modelUri": "azureml://subscriptions/s/workspaces/w/datastores/d/paths/p"},
            {"modelUri": "azureml://datastores/d/paths/p/"},
        ),
        ({"modelUri": f"azureml://{UPLOAD}"}, {"modelUri": f"azureml://subscriptions/s/{UPLOAD}"}),
        (
            {"codeUri": f"https://x/c/LocalUpload/{DIGEST}/code"},
            {"codeUri": f"https://x/c/LocalUpload/{DIGEST}/src"},
        ),
        (
            {"modelUri": f"azureml://{UPLOAD}"},
            {"modelUri": f"https://x/c/LocalUpload/{DIGEST}/my%20model"},
        ),
    ],
)
def test_the_same(there: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert covers({"properties": there}, {"properties": wanted})


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        ({}, {"a": 1}),
        ({"a": None}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": 1}),
        ({"description": "Counts"}, {"description": "counts"}),
        ({"environmentVariables": {"A": "x"}}, {"environmentVariables": {"A": "X"}}),
        ({"isArchived": "true"}, {"isArchived": True}),
        ({"timeout": "PT30S"}, {"timeout": "PT31S"}),
        ({"timeout": "soon"}, {"timeout": "PT30S"}),
        ({"condaFile": "a: 1"}, {"condaFile": "a: 2"}),
        ({"dataUri": "https://x/y"}, {"dataUri": "https://x/Y"}),
        (
            {"modelUri": f"azureml://datastores/d/paths/LocalUpload/{DIGEST}/m"},
            {"modelUri": f"azureml://datastores/d/paths/LocalUpload/{OTHER}/m"},
        ),
        (
            {"modelUri": f"azureml://datastores/d/paths/LocalUpload/{DIGEST}/m"},
            {"modelUri": f"azureml://datastores/d/paths/LocalUpload/{DIGEST}/n"},
        ),
        ({"modelUri": f"azureml://{UPLOAD}"}, {"modelUri": "azureml://datastores/d/paths/p"}),
    ],
)
def test_not_the_same(there: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert not covers({"properties": there}, {"properties": wanted})


@pytest.mark.parametrize(
    "properties",
    [
        {"miniBatchSize": 5},
        {"environmentVariables": {"BAZ": "q", "KEPT": "1"}},
        {"description": "of last year"},
        {"retrySettings": {"maxRetries": 3, "timeout": "PT5M"}},
        {"outputAction": "SummaryOnly"},
    ],
)
def test_what_a_file_says_no_more_is_left_behind(properties: dict[str, Any]) -> None:
    wanted = {"properties": {"environmentVariables": {"KEPT": "1"}}}
    if "environmentVariables" not in properties:
        wanted = {"properties": {}}
    assert leaves_behind({"properties": properties}, wanted)


def test_what_the_service_fills_in_is_not_left_behind() -> None:
    filled_in = {
        "description": None,
        "environmentVariables": {},
        "errorThreshold": -1,
        "loggingLevel": "INFO",
        "maxConcurrencyPerInstance": 1,
        "miniBatchSize": 10,
        "outputAction": "appendRow",
        "outputFileName": "predictions.csv",
        "provisioningState": "Succeeded",
        "retrySettings": {"maxRetries": 3, "timeout": "PT30S"},
        "scoringUri": "https://x",
    }
    there = {"tags": {"cost-center": "of a policy"}, "properties": filled_in}
    assert not leaves_behind(there, {"properties": {}})
    assert not leaves_behind(there, {"properties": {"retrySettings": {"maxRetries": 3}}})
    assert leaves_behind(there, {"tags": {"mine": "1"}, "properties": {}})
