"""The topic: it accepts events of Azure's publisher and delivers them at least once."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.eventgrid.aio import EventGridPublisherClient

from local import topic as topic_part
from local.credential import StaticCredential
from local.faults import Fault
from local.names import EVENT_GRID_AUDIENCE
from local.run_folder import RunFolder
from local.serving import serve
from local.tokens import issue
from local.topic import Topic, Webhook
from scoring.errors import SetupError, Unavailable
from tests.azure.access import publisher

EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "T", "subject": "/a/b.csv"}


@pytest.fixture
async def topic(folder: RunFolder) -> AsyncIterator[Topic]:
    async with topic_part.start(folder) as part:
        yield part


def client(topic: Topic, audience: str = EVENT_GRID_AUDIENCE) -> EventGridPublisherClient:
    credential = StaticCredential(issue(audience, client="test"))
    return EventGridPublisherClient(topic.url, credential, retry_total=0)


async def test_a_published_event_is_accepted_and_written_to_the_file(topic: Topic) -> None:
    async with client(topic) as publisher:
        await publisher.send([EVENT])
    assert topic.events == [EVENT]
    assert [json.loads(line) for line in topic.file.read_text().splitlines()] == [EVENT]


async def test_a_token_for_another_audience_is_refused(topic: Topic) -> None:
    async with client(topic, "https://storage.azure.com") as publisher:
        with pytest.raises(ClientAuthenticationError):
            await publisher.send([EVENT])
    assert topic.events == []


async def test_an_event_without_its_attributes_is_refused(topic: Topic) -> None:
    async with client(topic) as publisher:
        with pytest.raises(HttpResponseError, match="a CloudEvent needs id, type"):
            await publisher.send([{"specversion": "1.0", "source": "/s"}])


async def test_a_subscriber_gets_the_events_that_match_its_filter(topic: Topic) -> None:
    """It fails twice, and delivery is retried."""
    got: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    fails = [500, 503]

    async def allow(_: web.Request) -> web.Response:
        return web.Response(headers={"WebHook-Allowed-Origin": topic_part.ORIGIN})

    async def receive(request: web.Request) -> web.Response:
        if fails:
            return web.Response(status=fails.pop())
        await got.put(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_route("OPTIONS", "/hook", allow)
    app.router.add_post("/hook", receive)
    async with serve(app) as url, client(topic) as publisher:
        await topic.subscribe(Webhook(url=f"{url}/hook", subject_ends_with=".csv"))
        await publisher.send([{**EVENT, "id": "2", "subject": "/a/b.png"}, EVENT])
        assert await asyncio.wait_for(got.get(), 10) == EVENT
    assert got.empty()


async def test_a_subscriber_that_does_not_allow_the_origin_is_refused(topic: Topic) -> None:
    async with serve(web.Application()) as url:
        with pytest.raises(ValueError, match="WebHook-Allowed-Origin"):
            await topic.subscribe(Webhook(url=f"{url}/hook"))


async def test_a_misspelt_filter_is_refused(topic: Topic, folder: RunFolder) -> None:
    """Without it, all events would be delivered."""
    webhook = {"url": "http://localhost/hook", "includedEventType": ["T"]}
    address = topic.url.replace("/api/events", "/_admin/webhooks")
    async with httpx.AsyncClient(verify=folder.client_tls()) as asking:
        answer = await asking.post(address, json=webhook)
    assert answer.status_code == 400
    assert "includedEventType" in answer.text
    assert topic.webhooks == []


# --- the product's own publisher ----------------------------------------------------------------


async def test_a_topic_that_refuses_is_unavailable_and_one_that_forbids_is_a_setup(
    topic: Topic,
) -> None:
    topic.faults.add(Fault(kind="refuse", status=500, times=-1))
    async with publisher(topic.url) as made:
        with pytest.raises(Unavailable):
            await made.publish(json.dumps(EVENT).encode())
    topic.faults.forget()
    async with publisher(topic.url, audience="https://storage.azure.com") as other:
        with pytest.raises(SetupError):
            await other.publish(json.dumps(EVENT).encode())
