"""Batch endpoints: submitting attempts and asking after their batch jobs.

Requests as in "Deploy models using batch endpoints with REST APIs" of the Azure documentation.
"""

import asyncio
import re
import uuid
from typing import Any, Literal

import httpx
from azure.core.exceptions import AzureError

from scoring.azure.errors import translating_errors
from scoring.azure.http import TIMEOUT, AuthorizedHttp, json_in, retry_after, what_it_says
from scoring.azure.invoke_body import invoke_body
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
MOST_PAGES = 2_000  # a listing that leads in circles comes to an end


class AzureBatchEndpoints:
    """A `ports.BatchEndpoints` over HTTP."""

    def __init__(self, http: AuthorizedHttp, *, post_seconds: float) -> None:
        self._http = http
        self._post_seconds = post_seconds
        connect = min(TIMEOUT.connect or post_seconds, post_seconds / 2)
        self._timeout = httpx.Timeout(post_seconds, connect=connect)

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
        except (AzureError, TimeoutError, OSError) as failure:
            return NotSent(message=_of(failure))
        try:
            async with asyncio.timeout(self._post_seconds):
                answer = await self._http.send(
                    "POST",
                    endpoint.scoring_uri,
                    json=body,
                    headers=headers,
                    timeout=self._timeout,
                )
        except (*_NEVER_SENT, AzureError) as failure:
            return NotSent(message=_of(failure))
        except SetupError as refusal:
            return ErrorAnswer(status=403, message=str(refusal))
        except (httpx.HTTPError, TimeoutError, OSError) as failure:
            return Unclear(message=_of(failure))
        return _answer(answer)

    async def batch_job(self, endpoint: BatchEndpoint, name: str) -> BatchJob | None:
        """GET a batch job."""
        answer = await self._get(f"{endpoint.scoring_uri}/{name}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        job = batch_job_in(_document(answer))
        if job is None:
            raise Unavailable(f"batch job {name}: the answer names no batch job")
        return job

    async def batch_jobs(self, endpoint: BatchEndpoint) -> list[BatchJob]:
        """GET the endpoint's batch jobs, page by page."""
        jobs: list[BatchJob] = []
        page = endpoint.scoring_uri
        for _ in range(MOST_PAGES):
            document = _document(await self._get(page))
            jobs += filter(None, map(batch_job_in, _listed(document)))
            if not document.get("nextLink"):
                return jobs
            page = document["nextLink"]
        raise Unavailable(f"the listing of {endpoint.scoring_uri} has more than {MOST_PAGES} pages")

    async def _get(self, url: str) -> httpx.Response:
        with translating_errors(f"GET {url}"):
            return await self._http.send("GET", url)


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
    if not isinstance(document, dict):
        return None
    name = document.get("name") or str(document.get("id", "")).rpartition("/")[2]
    if not isinstance(name, str) or not _JOB_NAME.fullmatch(name):
        return None
    properties = _dict(document.get("properties"))
    status = str(document.get("status") or properties.get("status") or "")
    return BatchJob(
        name=name,
        state=STATES.get(status.lower(), JobState.OPEN),
        studio=_studio(properties),
        message=_failure(properties),
        outputs=tuple(data_uris(properties, "OutputData")),
        marks=(
            str(properties.get("description") or ""),
            *map(str, _dict(properties.get("tags")).values()),
        ),
    )


def _studio(properties: dict[str, Any]) -> str | None:
    endpoints = _dict(properties.get("interactionEndpoints") or properties.get("services"))
    link = _dict(endpoints.get("Studio")).get("endpoint")
    plain = isinstance(link, str) and link.isascii() and link.startswith("https://")
    return link if plain else None


def _failure(properties: dict[str, Any]) -> str:
    error = _dict(properties.get("error"))
    return str(_dict(error.get("error")).get("message") or error.get("message") or "")


def data_uris(properties: dict[str, Any], field: Literal["InputData", "OutputData"]) -> list[str]:
    """Return the URIs of a batch job's inputs or outputs."""
    data = _dict(properties.get(field) or properties.get(field[:1].lower() + field[1:]))
    found = (_dict(one).get("Uri") or _dict(one).get("uri") for one in data.values())
    return [uri for uri in found if isinstance(uri, str)]


def _document(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise Unavailable(f"{answer.url}: {answer.status_code}: {what_it_says(answer)}")
    document = json_in(answer)
    if not isinstance(document, dict):
        raise Unavailable(f"{answer.url}: the answer is no JSON object")
    return document


def _listed(page: dict[str, Any]) -> list[Any]:
    value = page.get("value")
    if not isinstance(value, list):
        raise Unavailable("a listing of batch jobs has no value: a part of a listing is none")
    return value


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _of(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {failure}".rstrip(": ")
