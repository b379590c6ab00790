"""The body of the POST that makes a batch job.

As in "Deploy models using batch endpoints with REST APIs" of the Azure documentation.
"""

from typing import Any

from scoring.durations import iso8601
from scoring.jobs.batch_job import Submission
from scoring.routes.route import JobSettings, Kind, OutputKind, Param

_KINDS: dict[Kind | OutputKind, str] = {"file": "UriFile", "folder": "UriFolder"}


def invoke_body(submission: Submission) -> dict[str, Any]:
    """Return what is POSTed; the tag is in it twice, for the batch job to be found by."""
    return {
        "properties": {
            **data(submission),
            "description": submission.tag,
            "tags": {"landfall": submission.tag},
            **overrides(submission.settings),
        }
    }


def data(submission: Submission) -> dict[str, Any]:
    """Return what of the body says what is scored, and where the output goes."""
    return {"InputData": _inputs(submission), **_outputs(submission)}


def _inputs(submission: Submission) -> dict[str, Any]:
    kind = _KINDS[submission.kind]
    source = {submission.input_name: {"JobInputType": kind, "Uri": submission.input_uri}}
    return {name: _literal(value) for name, value in submission.params.items()} | source


def _literal(value: Param) -> dict[str, Any]:
    """Azure ML types the value of a literal as text; the component that declares it parses it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {"JobInputType": "Literal", "Value": text}


def _outputs(submission: Submission) -> dict[str, Any]:
    if submission.output_kind == "none":
        return {}
    kind = _KINDS[submission.output_kind]
    output = {"JobOutputType": kind, "Uri": submission.output_uri}
    return {"OutputData": {submission.output_name: output}}


def overrides(asked: JobSettings) -> dict[str, Any]:
    """Return the settings that are asked for; for the others the deployment's hold."""
    timeout = iso8601(asked.timeout) if asked.timeout else None
    return given(
        compute=given(instanceCount=asked.instance_count),
        miniBatchSize=asked.mini_batch_size,
        errorThreshold=asked.error_threshold,
        retrySettings=given(maxRetries=asked.max_retries, timeout=timeout),
    )


def given(**fields: Any) -> dict[str, Any]:
    """Return what is not empty."""
    return {name: value for name, value in fields.items() if value not in (None, {})}
