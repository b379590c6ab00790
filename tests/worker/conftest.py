"""Microsoft's worker library, for the tests of this folder."""

import os

import pytest

from tests.worker.environment import python_of_the_worker
from tests.worker.library import Worker


@pytest.fixture(scope="session")
def worker() -> Worker:
    """The library in its environment. Where there can be none the tests are skipped, in CI not."""
    python = python_of_the_worker()
    if python is None:
        reason = "Microsoft's worker library needs Python 3.13, and this machine has none"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: install it, with `venv`, where CI runs")
        pytest.skip(reason)
    return Worker(python)
