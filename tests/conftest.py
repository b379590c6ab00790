"""What tests on real parts share: one run folder and one storage service for the session."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from local.run_folder import RunFolder

# aiohttp, and so the Azure SDKs, reads SSL_CERT_FILE when it is imported: before the parts are.
_FOLDER = RunFolder(Path(tempfile.mkdtemp(prefix="landfall-")))
os.environ["SSL_CERT_FILE"] = str(_FOLDER.ca_file)

from local import storage as storage_part  # noqa: E402
from local.storage import Storage  # noqa: E402

# The same examples every time, and no stopwatch: a slow machine is no defect. To go exploring:
# pytest --hypothesis-profile=default tests/routes
settings.register_profile(
    "landfall", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("landfall")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    shutil.rmtree(_FOLDER.path)


@pytest.fixture(scope="session")
def folder() -> RunFolder:
    """A run folder whose authority every TLS client of this process trusts."""
    return _FOLDER


@pytest.fixture(scope="session")
async def storage(folder: RunFolder) -> AsyncIterator[Storage]:
    """Azurite behind its proxies."""
    async with storage_part.start(folder) as part:
        yield part
