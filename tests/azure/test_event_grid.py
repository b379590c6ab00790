"""What goes over the wire when an event is published, and what comes back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiohttp import web

from local.run_folder import RunFolder
from local.serving import serve
from scoring.azure import event_grid as module
from scoring.azure.errors import asking
from scoring.errors import Denied, SetupError, Unavailable
from tests.azure.access import publisher
from tests.azure.wire import always, dripping, server

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
        self.tokens: list[str] = []
        self.headers: dict[str, str] = {}

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.types.append(request.content_type)
        self.tokens.append(request.headers["Authorization"].removeprefix("Bearer "))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers=self.headers)


@pytest.fixture
async def taken(folder: RunFolder) -> AsyncIterator[Taken]:
    topic, app = Taken(), web.Application()
    app.router.add_post("/api/events", topic.take)
    async with serve(app, tls=folder.server_tls()) as url:
        topic.url = f"{url}/api/events"
        yield topic


async def test_every_copy_of_an_event_has_the_bytes_that_were_given(taken: Taken) -> None:
    """The second try included."""
    taken.statuses = [503]
    async with publisher(taken.url) as topic:
        await topic.publish(EVENT)
        await topic.publish(EVENT)
    assert taken.bodies == [b"[" + EVENT + b"]"] * 3
    assert set(taken.types) == {"application/cloudevents-batch+json"}


async def test_a_token_that_the_topic_calls_expired_is_replaced_once(taken: Taken) -> None:
    """The clock of a host may be slow, which then takes dead tokens for good ones."""
    taken.statuses = [401]
    async with publisher(taken.url, "stale", "fresh") as topic:
        await topic.publish(EVENT)
        await topic.publish(EVENT)
    assert taken.tokens == ["stale", "fresh", "fresh"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_is_no_success(
    status: int, taken: Taken, folder: RunFolder
) -> None:
    elsewhere, app = Taken(), web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere.take)
    async with serve(app, tls=folder.server_tls()) as url, publisher(taken.url) as topic:
        for there in (f"{url}/api/events", "/api/events"):
            taken.statuses, taken.headers = [status], {"Location": there}
            with pytest.raises(Unavailable, match=str(status)):
                await topic.publish(EVENT)
    assert elsewhere.bodies == []
    assert len(taken.bodies) == 2


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (202, Unavailable),
        (204, Unavailable),
        (400, Unavailable),
        (401, SetupError),
        (403, Denied),
        (404, Unavailable),
        (413, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
    ],
)
async def test_an_event_is_out_after_200_only(
    status: int, meaning: type[Exception], taken: Taken
) -> None:
    taken.statuses = [status] * 2
    async with publisher(taken.url) as topic:
        with pytest.raises(meaning, match=f"the topic answered {status}") as told:
            await topic.publish(EVENT)
    assert type(told.value) is meaning


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 503 Busy\r\nRetry-After: 86400\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
        b"garbage\r\n\r\n",
    ],
)
async def test_a_topic_that_answers_otherwise_is_unavailable_at_once(
    raw: bytes, folder: RunFolder
) -> None:
    async with server(always(raw), folder.server_tls()) as url, publisher(url) as topic:
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await topic.publish(EVENT)


async def test_a_topic_whose_answer_drips_is_given_up(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "asking", partial(asking, within=0.3))
    serve = dripping(b"HTTP/1.1 200 OK\r\n\r\n")
    async with server(serve, folder.server_tls()) as url, publisher(url) as topic:
        with pytest.raises(Unavailable, match="no whole answer"):
            await topic.publish(EVENT)
