"""Batch endpoints: submitting attempts and asking after their batch jobs.

Requests as in "Deploy models using batch endpoints with REST APIs" of the Azure documentation.
"""

import re
import uuid
from typing import Any, Literal

import httpx

from scoring.azure.answers import as_kind, json_in, parts, retry_after
from scoring.azure.errors import ANOTHER_SHAPE, asking
from scoring.azure.http import CONNECT_WITHIN, AuthorizedHttp
from scoring.azure.identity import NoToken
from scoring.azure.invoke_body import invoke_body
from scoring.azure.reasons import what_it_says, why_it_failed
from scoring.errors import SetupError, Unavailable
from scoring.jobs.batch_job import (
    Accepted,
    Answer,
    BatchEndpoint,
    BatchJob,
    ErrorAnswer,
    JobState,
    NotSent,
    Submission,
    Unclear,
)

STATES = {
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELED,
    "running": JobState.RUNNING,
    "finalizing": JobState.RUNNING,
    "cancelrequested": JobState.CANCELING,
}
"""Azure ML's states that make a difference. Every other one, known or not yet invented, is no end."""

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_JOB_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}")
_LISTED_WITHIN = 120.0  # seconds for a whole listing


class AzureBatchEndpoints:
    """A `ports.BatchEndpoints` over HTTP."""

    def __init__(self, http: AuthorizedHttp, *, post_seconds: float) -> None:
        self._http = http
        self._post_seconds = post_seconds
        # What fails before anything is sent is to be told before the whole time is over.
        early = min(CONNECT_WITHIN, post_seconds / 2)
        self._timeout = httpx.Timeout(post_seconds, connect=early, pool=early)

    async def submit(self, endpoint: BatchEndpoint, submission: Submission) -> Answer:
        """POST an attempt once."""
        body = invoke_body(submission)
        return await self.post(endpoint, body, tag=submission.tag, deployment=submission.deployment)

    async def post(
        self, endpoint: BatchEndpoint, body: dict[str, Any], *, tag: str, deployment: str | None
    ) -> Answer:
        """POST a body once; the request's id is made of the tag."""
        headers = {"repeatability_request-id": str(uuid.uuid5(uuid.NAMESPACE_OID, tag))}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        try:
            # Without a token nothing is sent: the wait for one is not the POST's.
            await self._http.authorize()
            answer = await self._http.send(
                "POST",
                endpoint.scoring_uri,
                within=self._post_seconds,
                json=body,
                headers=headers,
                timeout=self._timeout,
            )
        except (*_NEVER_SENT, NoToken) as failure:
            return NotSent(message=_of(failure))
        except SetupError as refusal:
            return ErrorAnswer(status=403, message=str(refusal))
        except (Unavailable, httpx.HTTPError, OSError, *ANOTHER_SHAPE) as failure:
            return Unclear(message=_of(failure))
        return _answer(answer)

    async def batch_job(self, endpoint: BatchEndpoint, name: str) -> BatchJob | None:
        """GET a batch job."""
        answer = await self._get(f"{endpoint.scoring_uri}/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        job = batch_job_in(json_in(_usable(answer)))
        if job is None:
            raise Unavailable(f"batch job {name}: the answer names no batch job")
        return job

    async def batch_jobs(self, endpoint: BatchEndpoint) -> list[BatchJob]:
        """GET the endpoint's batch jobs, page by page."""
        what = f"the listing of {endpoint.scoring_uri}"
        async with asking(what, within=_LISTED_WITHIN):
            listing = parts(self._get_part, endpoint.scoring_uri, what)
            found = [_listed(one, what) async for part in listing for one in part]
        return [job for job in found if job is not None]

    async def _get(self, url: str) -> httpx.Response:
        async with asking(f"GET {url}"):
            return await self._http.send("GET", url)

    async def _get_part(self, url: str) -> httpx.Response:
        return _usable(await self._get(url))


def _answer(answer: httpx.Response) -> Answer:
    if answer.is_success:
        job = batch_job_in(json_in(answer))
        if job is None:
            return Unclear(message=f"{answer.status_code} without a usable name")
        return Accepted(batch_job=job.name)
    return ErrorAnswer(
        status=answer.status_code,
        message=what_it_says(answer),
        retry_after=retry_after(answer),
    )


def batch_job_in(document: Any) -> BatchJob | None:
    """Read a batch job as the endpoint describes it; None without a usable name."""
    fields = _fields(document)
    name = _text(fields.get("name")) or _text(fields.get("id")).rpartition("/")[2]
    if not _JOB_NAME.fullmatch(name):
        return None
    properties = _fields(fields.get("properties"))
    status = _text(fields.get("status")) or _text(properties.get("status"))
    return BatchJob(
        name=name,
        state=STATES.get(status.lower(), JobState.OPEN),
        studio=_studio(properties),
        message=why_it_failed(properties.get("error")),
        outputs=tuple(data_uris(properties, "OutputData")),
        marks=_marks(properties),
    )


def _listed(document: Any, what: str) -> BatchJob | None:
    """Read a batch job of a listing; None: it has no usable name, and is nobody's attempt.

    Raises:
        Unavailable: it may be an attempt: that none is there cannot be told from this listing.
    """
    job = batch_job_in(document)
    properties = _fields(as_kind(document, dict[str, Any], what).get("properties"))
    if job is None and (any(_marks(properties)) or data_uris(properties, "OutputData")):
        raise Unavailable(f"{what}: a batch job has no usable name")
    return job


def _marks(properties: dict[str, Any]) -> tuple[str, ...]:
    tags = _fields(properties.get("tags"))
    return _text(properties.get("description")), *map(_text, tags.values())


def _studio(properties: dict[str, Any]) -> str | None:
    endpoints = _fields(properties.get("interactionEndpoints") or properties.get("services"))
    link = _text(_fields(endpoints.get("Studio")).get("endpoint"))
    return link if link.isascii() and link.startswith("https://") else None


def data_uris(properties: dict[str, Any], field: Literal["InputData", "OutputData"]) -> list[str]:
    """Return the URIs of a batch job's inputs or outputs."""
    data = _fields(properties.get(field) or properties.get(field[:1].lower() + field[1:]))
    found = (_fields(one).get("Uri") or _fields(one).get("uri") for one in data.values())
    return [uri for uri in found if isinstance(uri, str)]


def _usable(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise Unavailable(f"{answer.url}: {answer.status_code}: {what_it_says(answer)}")
    return answer


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _of(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {failure}".rstrip(": ")
