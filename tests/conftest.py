"""What tests on real parts share: one run folder and one storage service for the session."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local import storage as storage_part
from local.run_folder import RunFolder
from local.storage import Storage


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder whose authority every TLS client of this process trusts."""
    made = RunFolder(Path(tmp_path_factory.mktemp("local")))
    os.environ["SSL_CERT_FILE"] = str(made.ca_file)
    return made


@pytest.fixture(scope="session")
async def storage(folder: RunFolder) -> AsyncIterator[Storage]:
    """Azurite behind its proxies."""
    async with storage_part.start(folder) as part:
        yield part
