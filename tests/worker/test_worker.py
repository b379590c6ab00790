"""Microsoft's worker library indexes the app and runs its functions with what the host sends."""

import base64
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from azure.storage.blob.aio import BlobServiceClient

from local import azureml
from local import identity as identity_part
from local import topic as topic_part
from local.app_settings import app_settings
from local.identity import Identity
from local.names import APP_ACCOUNT, ARM_AUDIENCE, STORAGE_AUDIENCE
from local.run_folder import RunFolder
from local.storage import Storage
from scoring.version import VERSION
from tests.pages import ROOT
from tests.worker.apps import BAD_ROUTES, BINDINGS, copied, imported
from tests.worker.library import Ran, Worker, message, tick

EVENTS = {path.stem: path.read_text() for path in (ROOT / "tests" / "payloads").glob("*.json")}

REQUIRED = (
    "AzureWebJobsStorage",
    "AzureWebJobsStorage__blobServiceUri",
    "CompletionTopic__topicEndpointUri",
    "AZUREML_ARM_SUBSCRIPTION",
    "AZUREML_ARM_RESOURCEGROUP",
    "AZUREML_ARM_WORKSPACE_NAME",
)

CANCELLED = """
import asyncio

async def services():
    raise asyncio.CancelledError

def prepared():
    raise asyncio.CancelledError
"""


# --- the index ----------------------------------------------------------------------------------


async def test_the_library_finds_both_functions_with_their_bindings(worker: Worker) -> None:
    ran = await worker.run(ROOT, {})
    assert (ran.python, ran.failure, ran.functions) == ("3.13", None, BINDINGS)


@pytest.mark.parametrize("routes", BAD_ROUTES.values(), ids=BAD_ROUTES)
async def test_a_routes_file_that_cannot_be_used_does_not_stop_the_index(
    worker: Worker, tmp_path: Path, routes: str | None
) -> None:
    ran = await worker.run(copied(tmp_path, routes), {})
    assert (ran.failure, ran.functions) == (None, BINDINGS)


async def test_a_fault_in_the_app_leaves_no_function(worker: Worker, tmp_path: Path) -> None:
    """What the tests above would look like if they failed."""
    app = copied(tmp_path, "")
    with (app / "function_app.py").open("a") as file:
        file.write("\nraise LookupError('a setting is missing')\n")
    ran = await worker.run(app, {})
    assert ran.functions == {}
    assert ran.failure == "LookupError: a setting is missing"


def test_nothing_but_importing_happens_at_import(worker: Worker) -> None:
    said = imported(worker.python, ROOT, {})
    assert (said["python"], said["functions"]) == ("3.13", BINDINGS)
    assert (said["asked_the_network"], said["read"], said["threads"]) == ([], [], 1)


# --- invocations without settings ---------------------------------------------------------------


async def test_missing_settings_are_reported_together_at_each_invocation(worker: Worker) -> None:
    calls = [message(name, EVENTS["event-grid-put-blob"]) for name in ("on_landing", "on_poison")]
    calls += [tick("poll"), tick("sweep")]
    ran = await worker.run(ROOT, {}, *calls, *calls)
    assert len(ran.answers) == 8
    for answer in ran.answers:
        assert (answer.answered, answer.ok) == (True, False)
        assert answer.failure is not None
        assert answer.failure.startswith("WrongSettings('app settings: ")
        assert [name for name in REQUIRED if name not in answer.failure] == []


async def test_a_cancellation_in_any_function_is_answered(worker: Worker, tmp_path: Path) -> None:
    """Whatever is cancelled below them: all are wrapped in `answers_always`."""
    app = copied(tmp_path, "")
    with (app / "scoring" / "services.py").open("a") as file:
        file.write(CANCELLED)
    calls = [message(name, EVENTS["event-grid-put-blob"]) for name in ("on_landing", "on_poison")]
    calls += [tick("poll"), tick("sweep")]
    answers = (await worker.run(app, {}, *calls)).answers
    assert [answer.failure for answer in answers] == [
        f"RuntimeError('{name} was ended by CancelledError()')"
        for name in ("on_landing", "on_poison", "poll", "sweep")
    ]


# --- invocations in a local Azure ---------------------------------------------------------------


@pytest.fixture
async def ledger(storage: Storage) -> AsyncIterator[str]:
    """The name of an empty ledger container."""
    name = f"worker-{uuid.uuid4()}"
    async with _app_account(storage) as account:
        await account.create_container(name)
        yield name
        await account.delete_container(name)


@pytest.fixture
async def identity(folder: RunFolder) -> AsyncIterator[Identity]:
    async with identity_part.start(folder) as part:
        yield part


@pytest.fixture
async def settings(
    folder: RunFolder, storage: Storage, identity: Identity, ledger: str, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    """The settings of an app in a local Azure whose workspace has a datastore and no endpoint."""
    del storage, identity  # their addresses are in the folder
    async with topic_part.start(folder), azureml.start(folder):
        yield {**app_settings(folder), "LANDFALL_LEDGER_CONTAINER": ledger}


def lines_after_the_start(ran: Ran) -> list[list[str]]:
    """Return the lines of each answer, but for the one that the process logs first and once."""
    (started, *lines), *others = (answer.lines for answer in ran.answers)
    assert started == f"INFO started version={VERSION} routes=3"
    return [lines, *others]


async def test_each_storage_event_plain_or_in_base64_is_answered(
    worker: Worker, settings: dict[str, str]
) -> None:
    """No route takes any of them: one line each, and the message is done with."""
    texts = [
        *EVENTS.values(),
        *(base64.b64encode(one.encode()).decode() for one in EVENTS.values()),
    ]
    ran = await worker.run(ROOT, settings, *(message("on_landing", text) for text in texts))
    assert len(ran.answers) == len(texts)
    for answer in ran.answers:
        assert (answer.answered, answer.ok, answer.returns) == (True, True, False), answer.failure
    for (line,) in lines_after_the_start(ran):
        assert line.startswith("INFO ignored path=")


async def test_a_landing_that_no_route_takes_says_so(
    worker: Worker, settings: dict[str, str]
) -> None:
    ran = await worker.run(ROOT, settings, message("on_landing", EVENTS["event-grid-put-blob"]))
    (answer,) = ran.answers
    assert (answer.answered, answer.ok) == (True, True), answer.failure
    said = "INFO ignored path=heart/patients.csv container=landings reason=no-route"
    assert lines_after_the_start(ran) == [[said]]


async def test_a_message_that_is_no_event_is_answered_as_a_failure(
    worker: Worker, settings: dict[str, str]
) -> None:
    """The host then delivers it again, and in the end puts it aside."""
    calls = [message("on_landing", text) for text in ("", "?", "1")]
    ran = await worker.run(ROOT, settings, *calls)
    assert len(ran.answers) == len(calls)
    for answer in ran.answers:
        assert (answer.answered, answer.ok) == (True, False)
        assert answer.failure is not None
        assert answer.failure.startswith("UnreadableMessage(")


async def test_what_the_host_put_aside_is_kept(
    worker: Worker, settings: dict[str, str], storage: Storage, ledger: str
) -> None:
    ran = await worker.run(ROOT, settings, message("on_poison", "?"))
    (answer,) = ran.answers
    assert (answer.answered, answer.ok, answer.returns) == (True, True, False), answer.failure
    (lines,) = lines_after_the_start(ran)
    assert [line.split()[1] for line in lines] == ["quarantined", "announced"]
    async with _app_account(storage) as account:
        names = [name async for name in account.get_container_client(ledger).list_blob_names()]
    assert f"quarantine/{hashlib.sha256(b'?').hexdigest()}" in names


async def test_poll_with_an_empty_ledger_leaves_its_mark(
    worker: Worker, settings: dict[str, str], storage: Storage, ledger: str
) -> None:
    ran = await worker.run(ROOT, settings, tick("poll"))
    (answer,) = ran.answers
    assert (answer.answered, answer.ok, answer.returns) == (True, True, False), answer.failure
    assert lines_after_the_start(ran) == [[]]
    async with _app_account(storage) as account:
        assert await account.get_blob_client(ledger, "control/poll").exists()


async def test_a_sweep_is_answered_and_leaves_the_mark_of_each_route(
    worker: Worker, settings: dict[str, str], storage: Storage, ledger: str
) -> None:
    ran = await worker.run(ROOT, settings, tick("sweep"))
    (answer,) = ran.answers
    assert (answer.answered, answer.ok, answer.returns) == (True, True, False), answer.failure
    assert lines_after_the_start(ran) == [[]]
    async with _app_account(storage) as account:
        for route in ("cancer", "digits", "inbox"):
            assert await account.get_blob_client(ledger, f"control/sweep-{route}").exists()


async def test_the_process_makes_its_services_once(
    worker: Worker, settings: dict[str, str], identity: Identity
) -> None:
    """One client and one token for each audience serve all invocations of both functions."""
    calls = [tick("poll"), message("on_landing", EVENTS["event-grid-put-blob"])]
    ran = await worker.run(ROOT, settings, *calls, *calls)
    assert [answer.ok for answer in ran.answers] == [True] * 4
    assert identity.requests == {ARM_AUDIENCE: 1, STORAGE_AUDIENCE: 1}


def _app_account(storage: Storage) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(storage.connection_string(APP_ACCOUNT))
