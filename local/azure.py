"""All parts of the local Azure together, and the function app on top of them."""

import contextlib
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local import azureml, host, identity, storage, topic
from local.app_settings import app_settings
from local.azureml import AzureMl
from local.host import Host, Program
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
async def start(folder: RunFolder, **options: Any) -> AsyncIterator[Azure]:
    """Run storage, Azure ML, the topic and the identity endpoint in this process.

    The options are those of `azureml.start`.

    Raises:
        RuntimeError: another local Azure runs in this folder.
    """
    with _alone_in(folder):
        async with (
            identity.start(folder) as tokens,
            storage.start(folder) as blobs,
            topic.start(folder) as events,
            azureml.start(folder, **options) as endpoints,
        ):
            yield Azure(
                folder=folder, storage=blobs, azureml=endpoints, topic=events, identity=tokens
            )


@contextlib.asynccontextmanager
async def hosts(
    folder: RunFolder,
    tell: Callable[[str], None],
    *,
    count: int = 1,
    program: Program = "local",
    app: Path = APP,
    **settings: Any,
) -> AsyncIterator[list[Host]]:
    """Run the function app on so many hosts; their log goes to `host.log` and to `tell`.

    The settings are those of `app_settings`.
    """
    with (folder.path / "host.log").open("w") as log:

        def note(line: str) -> None:
            print(line, file=log, flush=True)
            tell(line)

        async with contextlib.AsyncExitStack() as running:
            environment = app_settings(folder, **settings)
            yield [
                await running.enter_async_context(
                    host.start(folder, app, environment, name=name, program=program, tell=note)
                )
                for name in ["host", *(f"host-{number}" for number in range(2, count + 1))]
            ]


@contextlib.contextmanager
def _alone_in(folder: RunFolder) -> Iterator[None]:
    with (folder.path / "azure.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"a local Azure runs in {folder.path}: end it, or name another folder by --folder"
            ) from None
        yield
