"""The blob proxy: passes requests on to Azurite, counts them, and raises events for landed blobs."""

import itertools
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from aiohttp import web

from local.names import LANDING_ACCOUNT
from local.storage import operations
from local.storage.azurite import Azurite
from local.storage.events import COMMITS, BlobCreated, Event, Events
from local.storage.operations import Operation, Operations, Target
from local.storage.relay import Answer, relay


class Blobs:
    """Handles every request to the blob service."""

    def __init__(self, azurite: Azurite, log: Operations, events: Events) -> None:
        self.port = ""  # of the TLS listener, for the URLs in events; set when it listens
        self._azurite = azurite
        self._operations = log
        self._events = events
        self._sequence = itertools.count(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on; its event is in the queue before the answer is sent."""
        answer = await relay(request, self._azurite.session, self._azurite.blob)
        target = operations.target(request.host, request.raw_path)
        operation = self._count(request, answer, target)
        landed = target.account == LANDING_ACCOUNT and operation in COMMITS
        if landed and answer.status in (201, 202):
            await self._events.add(await self._created(request, answer, target, operation))
        return answer

    def _count(self, request: web.Request, answer: Answer, target: Target) -> str:
        comp = request.query.get("comp", "")
        operation = operations.name(target.level, request.method, comp, request.headers)
        self._operations.add(
            Operation(
                actor=operations.actor(request.headers.get("Authorization")),
                account=target.account,
                operation=operation,
                container=target.container,
                blob=target.blob,
                status=answer.status,
            )
        )
        return operation

    async def _created(
        self, request: web.Request, answer: Answer, target: Target, operation: str
    ) -> Event:
        sequencer = f"{next(self._sequence):064x}"  # taken before anything is awaited, so that it follows the order of the answers
        path = f"{quote(target.container)}/{quote(target.blob)}"
        properties = await self._properties(request, answer, path, operation)
        data = BlobCreated(
            api=operation,
            client_request_id=request.headers.get("x-ms-client-request-id", ""),
            request_id=answer.headers["x-ms-request-id"],
            e_tag=answer.headers["ETag"].strip('"'),
            content_type=properties.get("Content-Type", "application/octet-stream"),
            content_length=int(properties.get("Content-Length", 0)),
            blob_type=properties.get("x-ms-blob-type", "BlockBlob"),
            # As in Azure, the account is in the host, and the path is container and name.
            url=f"https://{target.account}.localhost:{self.port}/{path}",
            sequencer=sequencer,
            storage_diagnostics={"batchId": str(uuid.uuid4())},
        )
        return Event(
            id=str(uuid.uuid4()),
            time=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            account=target.account,
            container=target.container,
            path=target.blob,
            data=data,
        )

    async def _properties(
        self, request: web.Request, answer: Answer, path: str, operation: str
    ) -> Mapping[str, str]:
        if operation == "PutBlob":
            return _put(request.headers)
        found = await self._azurite.properties(LANDING_ACCOUNT, path, answer.headers["ETag"])
        return found or {}  # already overwritten or deleted: its event is raised anyway


def _put(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the properties of the blob that a Put Blob request creates."""
    sent = headers.get("Content-Type", "application/octet-stream")
    length = headers.get("Content-Length", "0")
    return {
        "Content-Type": headers.get("x-ms-blob-content-type", sent),
        "Content-Length": headers.get("x-ms-blob-content-length", length),
        "x-ms-blob-type": headers["x-ms-blob-type"],
    }
