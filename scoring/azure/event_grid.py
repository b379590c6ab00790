"""The Event Grid topic that the events go to: completion and quarantine events."""

import contextvars
from typing import Any

import msgspec
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline import PipelineRequest
from azure.eventgrid.aio import EventGridPublisherClient

from scoring.azure.errors import EXPECTED, translating_errors
from scoring.errors import Unavailable

_body: contextvars.ContextVar[bytes] = contextvars.ContextVar("what the running task publishes")


class EventGridTopic:
    """Publishes events; a `ports.Publisher`."""

    def __init__(self, endpoint: str, credential: AsyncTokenCredential) -> None:
        self._client = EventGridPublisherClient(
            endpoint,
            credential,
            retry_total=1,  # poll tries again, so the client's own retries are few
            connection_timeout=10,
            read_timeout=20,
            raw_request_hook=_keep_bytes,
        )

    async def publish(self, event: bytes) -> None:
        """Publish one event, these very bytes."""
        _body.set(b"[" + event + b"]")
        try:
            with translating_errors("the topic of the completion events"):
                await self._client.send([msgspec.json.decode(event)])
        except EXPECTED as answer:
            raise Unavailable(f"the topic answered {answer.status_code}") from None

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.close()


def _keep_bytes(request: PipelineRequest[Any]) -> None:
    # The client writes an event anew, in a way that may change with its version.
    request.http_request.set_bytes_body(_body.get())
