"""docs/subscribe.md: what it shows compiles, runs and takes the product's events."""

import asyncio
import base64
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import topic as topic_part
from local.run_folder import RunFolder
from local.topic import Topic, Webhook
from scoring.events.completion import TYPES
from scoring.events.quarantine import TYPE
from tests.azure.access import publisher
from tests.bicep import bicep
from tests.infra.events import DIFFERENT
from tests.pages import blocks, page

TEXT = page("subscribe")
BICEP = blocks(TEXT, "bicep")
PYTHON = blocks(TEXT, "python")
COMMANDS = re.findall(
    r"^az eventgrid event-subscription create .*?[^\\]$", TEXT, re.DOTALL | re.MULTILINE
)


def run(block: str) -> dict[str, Any]:
    """Run a block of Python and return what it defines."""
    defined: dict[str, Any] = {"__name__": "shown"}
    exec(compile(block, "docs/subscribe.md", "exec"), defined)
    return defined


def the_block_with(text: str) -> dict[str, Any]:
    (block,) = (one for one in PYTHON if text in one)
    return run(block)


# --- templates and commands ---------------------------------------------------------------------


@pytest.mark.parametrize("block", BICEP, ids=range(len(BICEP)))
def test_every_template_compiles_without_a_warning_and_is_formatted(
    tmp_path: Path, block: str
) -> None:
    source = tmp_path / "shown.bicep"
    source.write_text(block)
    linted = bicep("lint", source)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")
    assert bicep("format", source, "--stdout").stdout == block


def test_there_are_templates_and_commands() -> None:
    assert len(BICEP) == 2
    assert len(COMMANDS) == 3
    assert len(PYTHON) == 3


def test_every_command_asks_for_the_only_schema_that_the_topic_can_deliver() -> None:
    for command in COMMANDS:
        assert "--event-delivery-schema cloudeventschemav1_0" in command


def test_only_types_that_there_are_are_named() -> None:
    named = set(re.findall(r"Landfall\.[A-Za-z]+", TEXT))
    assert named <= {*TYPES.values(), TYPE}
    assert TYPE in named


# --- a webhook ----------------------------------------------------------------------------------


@pytest.fixture
async def topic(folder: RunFolder) -> AsyncIterator[Topic]:
    async with topic_part.start(folder) as part:
        yield part


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The webhook that is shown, running."""
    monkeypatch.setenv("EVENTS", str(tmp_path))
    handler = the_block_with("do_OPTIONS")["Events"]
    handler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/events"
    server.shutdown()
    thread.join()
    server.server_close()


def kept(folder: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


async def test_the_webhook_consents_and_keeps_each_event_once(
    topic: Topic, listener: str, tmp_path: Path
) -> None:
    await topic.subscribe(Webhook(url=listener))
    async with publisher(topic.url) as product:
        for event in [*DIFFERENT, *DIFFERENT]:
            await product.publish(json.dumps(event).encode())
    await asyncio.gather(*topic._deliveries)
    assert kept(tmp_path) == {f"{event['id']}.json": event for event in DIFFERENT}


def test_the_webhook_takes_a_batch(listener: str, tmp_path: Path) -> None:
    assert httpx.post(listener, json=DIFFERENT).status_code == 200
    assert kept(tmp_path) == {f"{event['id']}.json": event for event in DIFFERENT}


def test_the_webhook_refuses_for_good_what_would_be_no_name_of_a_file(
    listener: str, tmp_path: Path
) -> None:
    assert httpx.post(listener, json={"id": "../x"}).status_code == 400
    assert list(tmp_path.iterdir()) == []


# --- the others ---------------------------------------------------------------------------------


def test_a_message_of_the_queue_is_read_plain_and_as_base64() -> None:
    event_of = the_block_with("def event_of")["event_of"]
    text = json.dumps(DIFFERENT[0])
    assert event_of(text) == event_of(base64.b64encode(text.encode()).decode()) == DIFFERENT[0]


def test_the_function_is_indexed_and_takes_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    shown = the_block_with("event_grid_trigger")
    (function,) = shown["app"].get_functions()
    (binding,) = map(json.loads, function.get_raw_bindings())
    assert (binding["type"], binding["name"]) == ("eventGridTrigger", "event")
    function.get_user_function()(json.dumps(DIFFERENT[0]))
    assert DIFFERENT[0]["subject"] in capsys.readouterr().out
