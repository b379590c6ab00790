"""Runs by hand, over the admin path."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from local.host import Host
from local.storage import Storage
from tests.local.apps.running import SAMPLE, TIMERS, new_queue, running, settings_for

PACE = 0.05


@pytest.fixture(scope="module")
async def host(storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, folder, settings_for(queue, storage), pace=PACE) as part,
    ):
        yield part


@pytest.fixture(scope="module")
async def timers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    async with running(TIMERS, tmp_path_factory.mktemp("host"), pace=PACE) as part:
        yield part


async def test_a_queue_function_gets_the_text_in_a_message_without_an_id(host: Host) -> None:
    assert await host.run_by_hand("work", "by hand") == 202
    line = await host.until("got by hand")
    known: dict[str, Any] = json.loads(line[line.index("{") :])
    assert (known["size"], known["try"], known["id"]) == (7, 0, None)
    await host.until("Executed 'Functions.work' .Succeeded")


async def test_a_failure_is_only_in_the_log(host: Host) -> None:
    assert await host.run_by_hand("work", "fail") == 202
    await host.until("Executed 'Functions.work' .Failed, .*ValueError: as asked")


async def test_a_timer_that_is_run_by_hand_gets_the_usual_data(timers: Host) -> None:
    await timers.until("slow begins")
    assert await timers.run_by_hand("slow") == 202
    line = await timers.until("slow begins", times=2)
    assert line.endswith('slow begins [false, {}, {"AdjustForDST": true}]')
    assert not [line for line in timers.lines if "slow ends" in line]


@pytest.mark.parametrize("body", [b'{"input": {"a": 1}}', b'{"input": 1}', b"", b"text", b"[]"])
async def test_an_input_that_is_not_a_text_is_refused(body: bytes, host: Host) -> None:
    assert await post(host, "work", body) == 400


async def test_an_unknown_function_is_not_found(host: Host) -> None:
    assert await host.run_by_hand("unknown") == 404


async def test_the_host_answers_a_ping(host: Host) -> None:
    url = f"{host.url}/admin/host/ping"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200


async def post(host: Host, function: str, body: bytes) -> int:
    url = f"{host.url}/admin/functions/{function}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        return answer.status
