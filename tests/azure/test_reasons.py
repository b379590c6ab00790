"""The reason for a refusal is told, wherever the service and its gateways put it."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from scoring.azure.batch_endpoint import batch_job_in
from scoring.azure.reasons import reason_in, what_it_says, why_it_failed

PAYLOADS = Path(__file__).parent.parent / "payloads" / "errors"

SAID = {
    "arm": "BadRequest: No valid deployments to route to",
    "details": (
        "InferencingClientCallFailed: Job output type must be 'uri_file'.;"
        " BadRequest: The request is invalid."
    ),
    "another-service-as-text": (
        "InputData: The datastore nowhere does not exist.;"
        " Invalid: One or more validation errors occurred.;"
        " UserError: The request is invalid.; ServiceError: Received 400 from a service request"
    ),
    "inner-errors": (
        "ArgumentInvalid: Input Uri does not name a datastore of this workspace.;"
        " BadArgument: One of the arguments is wrong.; UserError: Failed to submit the job."
    ),
    "validation-list": "InputData: is required; x: The body is empty.",
    "problem-details": (
        "properties.InputData: The JSON value could not be converted.;"
        " properties.InputData: The field is required.; A non-empty request body is required.;"
        " One or more validation errors occurred."
    ),
    "problem-detail": "instanceCount must be 1 at the least.",
    "oauth": (
        "invalid_request: AADSTS500011: The resource principal named https://ml.azure.cn was not"
        " found."
    ),
    "gateway": "Rate limit is exceeded. Try again in 7 seconds.",
    "odata": "ResourceNotFound: The specified resource does not exist.",
    "error-as-text": "Endpoint heart is not ready.",
    "exception": "Object reference not set to an instance of an object.",
    "policy": "heart: Resource 'heart' was disallowed by policy.",
    "unknown": '{"fault": {"faultstring": "Something else", "n": 5}}',
    "failed-job": "UserError: There is no succeeded mini batch item returned from run().",
}


def answer(content: bytes) -> httpx.Response:
    return httpx.Response(400, content=content)


def test_every_payload_has_a_reason() -> None:
    assert set(SAID) == {file.stem for file in PAYLOADS.iterdir()}


@pytest.mark.parametrize("name", SAID)
def test_a_refusal_says_the_closest_reason_first(name: str) -> None:
    assert what_it_says(answer((PAYLOADS / f"{name}.json").read_bytes())) == SAID[name]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("plain\n  text", "plain text"),
        ('"a text as JSON"', "a text as JSON"),
        ("", ""),
        (
            "<!DOCTYPE html><html><head><title>502 Bad &amp; Gateway</title></head><body>long</body>",
            "502 Bad & Gateway",
        ),
        ("<html><body><h1 class='x'>Our services aren't available</h1><p>…", "Our services aren't available"),
        ("<html><body><p>It is <b>down</b>.</p>", "It is down ."),
        (
            "\ufeff<?xml version='1.0'?><Error><Code>ServerBusy</Code><Message>Try later.</Message>",
            "Try later.",
        ),
        ("{'error': 'no json'}", "{'error': 'no json'}"),
        ("5", "5"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("null", "null"),
        ('{"error": null}', '{"error": null}'),
        ('{"error": {"code": "Conflict"}}', "Conflict"),
        ('{"MESSAGE": "loud"}', "loud"),
        ('{"message": "same", "details": [{"message": "same"}]}', "same"),
        ('{"message": 5, "error": {"message": ["a", {"message": "b"}]}}', "a; b"),
    ],
)  # fmt: skip
def test_other_refusals_say_what_they_hold(body: str, said: str) -> None:
    assert what_it_says(answer(body.encode())) == said


def test_a_reason_is_one_line_of_a_bounded_length() -> None:
    long = {
        "error": {
            "message": "a\nb" * 1_000,
            "details": [{"message": f"d{n}"} for n in range(9_000)],
        }
    }
    said = reason_in(long)
    assert "\n" not in said
    assert len(said) <= 500
    assert said.startswith("d0; d1; d2")
    assert len(what_it_says(answer(b"x" * 70_000))) == 500


def nested(levels: int) -> Any:
    inner: Any = {"message": "deep"}
    for _ in range(levels):
        inner = {"error": {"details": [inner], "message": ""}}
    return inner


def test_what_lies_deeper_than_anybody_looks_does_no_harm() -> None:
    assert reason_in(nested(5)) == "deep"
    assert reason_in(nested(150)) == ""
    text = '{"message": "x"}'
    for _ in range(8):
        text = json.dumps({"message": text})
    assert reason_in(json.loads(text)) == "x"


def test_a_reason_is_found_in_little_time() -> None:
    deep: Any = {"message": "deep"}
    for _ in range(39):
        deep = {"error": deep}
    wide = {"details": [{"details": [{"message": "same"}] * 100}] * 100}
    began = time.perf_counter()
    assert reason_in(wide) == "same"
    assert reason_in({"details": [deep] * 100, "message": "top"}).endswith("top")
    assert time.perf_counter() - began < 5


# --- batch jobs that failed -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"error": {"code": "UserError", "message": "no nodes left"}}, "no nodes left"),
        ({"code": "UserError", "message": "no nodes left"}, "no nodes left"),
        (
            {"error": {"message": "Failed.", "innerError": {"message": "The cluster is gone."}}},
            "The cluster is gone.; Failed.",
        ),
        ("no nodes left", "no nodes left"),
        ({"odd": ["shape"]}, '{"odd":["shape"]}'),
        ({"error": {"code": "UserError"}}, "UserError"),
        ({"message": '{"odd": "text"}'}, '{"odd": "text"}'),
        (None, ""),
        ({}, ""),
        ([], ""),
        (5, "5"),
    ],
)
def test_a_batch_job_that_failed_says_why(error: object, said: str) -> None:
    assert why_it_failed(error) == said
    job = batch_job_in({"name": "j", "properties": {"status": "Failed", "error": error}})
    assert job is not None
    assert job.message == said


def test_a_batch_job_in_which_nothing_succeeded_says_so() -> None:
    error = json.loads((PAYLOADS / "failed-job.json").read_text())
    assert why_it_failed(error) == "There is no succeeded mini batch item returned from run()."
