"""The host process: its identity, how it ends, and several hosts at once."""

import asyncio
import re
from pathlib import Path

import pytest

from local import identity as identity_part
from local.host import Host
from local.names import APP_ACCOUNT, STORAGE_AUDIENCE
from local.run_folder import RunFolder
from local.storage import Storage
from tests.local.apps.running import (
    SAMPLE,
    expected,
    new_queue,
    requests_to,
    running,
    settings_for,
)


def bodies(host: Host) -> list[str]:
    """Return the messages that a host has passed to its function."""
    found = (re.search(r"User.0. got (.*?) \{", line) for line in host.lines)
    return [message[1] for message in found if message]


async def test_an_identity_opens_the_queue_over_tls(
    folder: RunFolder, storage: Storage, tmp_path: Path
) -> None:
    """Also the batch size, the visibility timeout of ten minutes and the one after a failure."""
    async with identity_part.start(folder) as identity, new_queue(storage) as queue:
        name = queue.queue_name
        settings = {
            "QUEUE": name,
            "POISON": f"{name}-unwatched",
            "AzureWebJobsStorage__blobServiceUri": f"{storage.blob}/{APP_ACCOUNT}",
            "AzureWebJobsStorage__queueServiceUri": f"{storage.queue}/{APP_ACCOUNT}",
            "AzureWebJobsStorage__credential": "managedidentity",
            "IDENTITY_ENDPOINT": identity.endpoint,
            "IDENTITY_HEADER": identity.header,
            "SSL_CERT_FILE": str(folder.ca_file),
        }
        await queue.send_message("hello")
        await queue.send_message("fail")
        with (
            requests_to(storage, f"{name}/messages?") as requests,
            expected(storage, "DELETE", f"{name}/messages/") as deletion,
            expected(storage, "PUT", f"{name}/messages/.*visibilitytimeout=10") as retry,
        ):
            async with running(SAMPLE, tmp_path, settings) as host:
                await storage.queue_faults.until_met(deletion)
                await storage.queue_faults.until_met(retry)
        assert sorted(bodies(host)) == ["fail", "hello"]
        assert set(identity.requests) == {STORAGE_AUDIENCE}
    polls = {frozenset(path.split("&")) for method, path in requests if method == "GET"}
    assert polls == {frozenset({"numofmessages=4", "visibilitytimeout=600"})}


async def test_after_sigterm_runs_finish_and_no_new_message_is_received(
    storage: Storage, tmp_path: Path
) -> None:
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, tmp_path, settings_for(queue, storage)) as host,
    ):
        await queue.send_message("wait")
        await host.until("got wait")
        host.terminate()
        await host.until("Application is shutting down")
        await queue.send_message("late")
        await host.run_by_hand("release", "1")
        assert await host.ended() == 0
        assert [line for line in host.lines if "Executed 'Functions.work' (Succeeded" in line]
        assert bodies(host) == ["wait"]
        (left,) = await queue.peek_messages()
        assert (left.content, left.dequeue_count) == ("late", 0)
        assert (await queue.get_queue_properties()).approximate_message_count == 1


async def test_sigterm_loses_no_message_of_a_poll_in_progress(
    storage: Storage, tmp_path: Path
) -> None:
    """It would be hidden for ten minutes, and no host would run it."""
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, tmp_path, settings_for(queue, storage)) as host,
    ):
        with expected(storage, "GET", f"{queue.queue_name}/messages") as poll:
            poll.seconds = 1.0
            await storage.queue_faults.until_met(poll)
            host.terminate()
            await queue.send_message("just in time")
            await host.until("Application is shutting down")
        assert await host.ended() == 0
        assert bodies(host) == ["just in time"]
        assert (await queue.get_queue_properties()).approximate_message_count == 0


@pytest.mark.parametrize("message", ["wait", "cancel"])
async def test_a_run_that_does_not_end_is_cut_off_and_its_message_stays_hidden(
    message: str, storage: Storage, tmp_path: Path
) -> None:
    """After the whole grace period; no `finally` block runs."""
    grace = 0.5
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, tmp_path, settings_for(queue, storage), pace=grace / 10) as host,
    ):
        await queue.send_message(message)
        await host.until(f"got {message}")
        began = asyncio.get_running_loop().time()
        host.terminate()
        await host.until("Application is shutting down")
        await queue.send_message("late")
        assert await host.ended() == 0
        assert asyncio.get_running_loop().time() - began >= grace
        assert not [line for line in host.lines if re.search("User.0. left|Executed", line)]
        assert bodies(host) == [message]
        (left,) = await queue.peek_messages()
        assert (left.content, left.dequeue_count) == ("late", 0)
        assert (await queue.get_queue_properties()).approximate_message_count == 2


async def test_a_function_that_exits_ends_the_host(storage: Storage, tmp_path: Path) -> None:
    async with (
        new_queue(storage) as queue,
        running(SAMPLE, tmp_path, settings_for(queue, storage)) as host,
    ):
        await host.run_by_hand("work", "exit")
        assert await host.ended() == 1
        assert re.search("^crit: .* work ended the worker: SystemExit.3.", host.lines[-1])


async def test_two_hosts_share_a_queue_and_every_message_runs_once(
    storage: Storage, tmp_path: Path
) -> None:
    async with new_queue(storage) as queue:
        settings = settings_for(queue, storage)
        sent = [f"wait {number}" for number in range(8)]
        for text in sent:
            await queue.send_message(text)
        async with (
            running(SAMPLE, tmp_path, settings) as first,
            running(SAMPLE, tmp_path, settings) as second,
        ):
            for host in (first, second):
                await host.until("got wait", times=4)
            for host in (first, second):
                await host.run_by_hand("release", "4")
                await host.until("Executed 'Functions.work' .Succ", times=4)
        assert sorted(bodies(first) + bodies(second)) == sent


async def test_a_host_ends_with_the_program_that_started_it(tmp_path: Path) -> None:
    """Its standard input ends when that program ends."""
    async with running(SAMPLE, tmp_path, {"QUEUE": "q", "POISON": "p"}) as host:
        assert host.process.stdin is not None
        host.process.stdin.close()
        assert await host.ended() == 1
        with pytest.raises(RuntimeError, match=r"the host has ended: (?s:.*)Listening on"):
            await host.until("never")
