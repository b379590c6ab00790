"""All parts of the local Azure together, and the function app on top of them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from local import azureml, identity, storage, topic
from local.azureml import AzureMl
from local.identity import Identity
from local.run_folder import RunFolder
from local.storage import Storage
from local.topic import Topic

APP = Path(__file__).parent.parent  # the folder of function_app.py


@dataclass(frozen=True, kw_only=True)
class Azure:
    """The running services that the function app talks to."""

    folder: RunFolder
    storage: Storage
    azureml: AzureMl
    topic: Topic
    identity: Identity


@contextlib.asynccontextmanager
async def start(folder: RunFolder) -> AsyncIterator[Azure]:
    """Run storage, Azure ML, the topic and the identity endpoint in this process."""
    async with (
        identity.start(folder) as tokens,
        storage.start(folder) as blobs,
        topic.start(folder) as events,
        azureml.start(folder) as endpoints,
    ):
        yield Azure(folder=folder, storage=blobs, azureml=endpoints, topic=events, identity=tokens)
