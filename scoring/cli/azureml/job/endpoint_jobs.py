"""The batch jobs of an endpoint, as the endpoint returns them."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from scoring.azure.batch_endpoint import batch_job_in, data_uris
from scoring.azure.workspace import batch_endpoint_in
from scoring.cli.failures import Refused
from scoring.cli.retrying_http import RetryingHttp
from scoring.cli.session import Session
from scoring.jobs.batch_job import BatchEndpoint, BatchJob
from scoring.log import redacted


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A batch job, with details that only the commands show."""

    job: BatchJob
    endpoint: str
    state: str  # Azure ML's
    created: datetime | None
    inputs: tuple[str, ...]  # URIs

    def plain(self) -> dict[str, Any]:
        """Return it for programs, without secrets, which URIs and messages may contain."""
        return {
            "batch_job": self.job.name,
            "endpoint": self.endpoint,
            "state": self.state,
            "created": self.created,
            "inputs": list(map(redacted, self.inputs)),
            "outputs": list(map(redacted, self.job.outputs)),
            "studio": self.job.studio,
            "reason": redacted(self.job.message) or None,
        }


class EndpointJobs:
    """The batch jobs of one endpoint. Every method can raise what those of `RetryingHttp` raise."""

    def __init__(self, http: RetryingHttp, endpoint: str, about: BatchEndpoint) -> None:
        self.endpoint = endpoint
        self.about = about
        self._http = http

    async def get(self, name: str) -> Described:
        """Return a batch job; raises `Refused` with the status 404 if it does not exist."""
        document = await self._http.get(f"{self.about.scoring_uri}/{quote(name, safe='')}")
        found = self._described(document or {})
        if found is None:
            raise Refused(f"endpoint {self.endpoint} has no batch job {name}", status=404)
        return found

    async def listed(self) -> AsyncIterator[Described]:
        """Yield all batch jobs, in the order of the listing."""
        async for document in self._http.listed(self.about.scoring_uri):
            found = self._described(document)
            if found is not None:
                yield found

    def _described(self, document: dict[str, Any]) -> Described | None:
        job = batch_job_in(document)
        if job is None:
            return None
        properties = document.get("properties") or {}
        return Described(
            job=job,
            endpoint=self.endpoint,
            state=str(document.get("status") or properties.get("status") or "Unknown"),
            created=_time((document.get("systemData") or {}).get("createdAt")),
            inputs=tuple(data_uris(properties, "InputData")),
        )


async def endpoint_jobs(session: Session, endpoint: str) -> EndpointJobs:
    """Return the batch jobs of an endpoint, whose URI ARM knows.

    Raises:
        Refused: the workspace has no such endpoint, or ARM refuses.
        Unavailable: there is no usable answer.
    """
    path = f"batchEndpoints/{quote(endpoint, safe='')}"
    document = await session.arm.existing(path, f"batch endpoint {endpoint}")
    return EndpointJobs(RetryingHttp(session.clients.ml), endpoint, batch_endpoint_in(document))


def _time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None
