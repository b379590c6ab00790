"""The body of the POST: what a route asks for, as the service spells it."""

from datetime import timedelta
from typing import Any

from scoring.azure.invoke_body import invoke_body
from scoring.jobs.batch_job import Submission
from scoring.routes.route import JobSettings


def properties(**fields: Any) -> dict[str, Any]:
    dull = {
        "tag": "landfall-k-1",
        "deployment": None,
        "kind": "file",
        "input_uri": "azureml://datastores/d/paths/landing/a.csv",
        "output_uri": "azureml://datastores/d/paths/scored/k/predictions.csv",
    }
    found: dict[str, Any] = invoke_body(Submission(**{**dull, **fields}))["properties"]
    return found


def test_the_data_has_the_names_that_the_route_gives_it() -> None:
    body = properties(input_name="heart_data", output_name="scores")
    assert list(body["InputData"]) == ["heart_data"]
    assert list(body["OutputData"]) == ["scores"]


def test_a_folder_is_said_to_be_one() -> None:
    assert properties(kind="folder")["InputData"]["input"]["JobInputType"] == "UriFolder"


def test_parameters_are_sent_as_literals_beside_the_data() -> None:
    body = properties(params={"mode": "fast", "threshold": 0.5, "top": 10, "explain": True})
    assert body["InputData"] == {
        "mode": {"JobInputType": "Literal", "Value": "fast"},
        "threshold": {"JobInputType": "Literal", "Value": "0.5"},
        "top": {"JobInputType": "Literal", "Value": "10"},
        "explain": {"JobInputType": "Literal", "Value": "true"},
        "input": {
            "JobInputType": "UriFile",
            "Uri": "azureml://datastores/d/paths/landing/a.csv",
        },
    }


def test_settings_are_sent_as_the_service_spells_them() -> None:
    asked = JobSettings(
        instance_count=4,
        mini_batch_size=10,
        error_threshold=-1,
        max_retries=0,
        timeout=timedelta(minutes=5),
    )
    sent = properties(settings=asked)
    assert {name: sent[name] for name in sent.keys() - properties().keys()} == {
        "compute": {"instanceCount": 4},
        "miniBatchSize": 10,
        "errorThreshold": -1,
        "retrySettings": {"maxRetries": 0, "timeout": "PT300S"},
    }


def test_what_is_not_asked_for_is_not_sent() -> None:
    assert set(properties()) == {"InputData", "OutputData", "description", "tags"}
    sent = properties(settings=JobSettings(timeout=timedelta(seconds=30), error_threshold=0))
    assert sent["retrySettings"] == {"timeout": "PT30S"}
    assert sent["errorThreshold"] == 0
    assert "compute" not in sent


def test_an_output_is_a_file_or_a_folder_or_not_told() -> None:
    assert properties()["OutputData"]["output"]["JobOutputType"] == "UriFile"
    folder = properties(output_kind="folder")["OutputData"]["output"]
    assert folder["JobOutputType"] == "UriFolder"
    assert "OutputData" not in properties(output_kind="none", output_uri="")
