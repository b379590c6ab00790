"""One site with one host for the tests that do not end it."""

from collections.abc import AsyncIterator

import pytest

from local.host import Host
from local.run_folder import RunFolder
from tests.end_to_end.site import Site, file_route, folder_route, site


@pytest.fixture(scope="session")
async def running(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Site, Host]]:
    """A site, and the host that runs the app on it."""
    routes = [
        file_route("files"),
        folder_route("folders"),
        file_route("again", "max_attempts = 2\nreceipt = true"),
        file_route("impatient", 'queue_timeout = "2s"\nmax_attempts = 2'),
        file_route("lenient", 'error_threshold = -1\non_empty = "score"'),
        file_route("by-hand", 'on_unknown = "hold"'),
        file_route("named", 'input_name = "numbers"\noutput_name = "rows"'),
    ]
    endpoints = ("files", "folders", "again", "impatient", "lenient", "by-hand", "named")
    tmp = tmp_path_factory.mktemp("site")
    async with site(folder, tmp, routes, endpoints) as made, made.host() as host:
        yield made, host


@pytest.fixture
async def here(running: tuple[Site, Host]) -> AsyncIterator[Site]:
    """The shared site, left as it was found."""
    made, _ = running
    yield made
    await made.azure.storage.events.behave(hold=False, copies=1, drop=0, order="as-raised")
    for faults in (made.azure.storage.blob_faults, made.azure.azureml.faults):
        faults.forget()
    made.azure.topic.faults.forget()


@pytest.fixture
def host(running: tuple[Site, Host]) -> Host:
    """The host of the shared site."""
    return running[1]
