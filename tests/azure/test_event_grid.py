"""What goes over the wire when an event is published."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from local.credential import StaticCredential
from local.names import EVENT_GRID_AUDIENCE
from local.run_folder import RunFolder
from local.serving import serve
from local.tokens import issue
from scoring.azure.event_grid import EventGridTopic

# Neither the order, nor the spaces, nor the time are as the SDK would write them.
EVENT = (
    b'{"type": "T", "specversion":"1.0","id":"1","source":"/s","time":"2026-11-24T12:00:00Z",'
    b'"datacontenttype":"application/json","subject":"/a/\xc3\xbc.csv","data":{"z":1.50,"a":null}}'
)


class Taken:
    """A topic that keeps the bodies that it gets, and answers what it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[bytes] = []
        self.types: list[str] = []
        self.statuses: list[int] = []

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.types.append(request.content_type)
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def taken(folder: RunFolder) -> AsyncIterator[Taken]:
    topic, app = Taken(), web.Application()
    app.router.add_post("/api/events", topic.take)
    async with serve(app, tls=folder.server_tls()) as url:
        topic.url = f"{url}/api/events"
        yield topic


async def test_every_copy_of_an_event_has_the_bytes_that_were_given(taken: Taken) -> None:
    """Retries of the client included."""
    publisher = EventGridTopic(
        taken.url, StaticCredential(issue(EVENT_GRID_AUDIENCE, client="test"))
    )
    taken.statuses = [503]
    await publisher.publish(EVENT)
    await publisher.publish(EVENT)
    await publisher.close()
    assert taken.bodies == [b"[" + EVENT + b"]"] * 3
    assert set(taken.types) == {"application/cloudevents-batch+json"}
