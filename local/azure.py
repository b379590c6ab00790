"""Runs all parts of the local Azure, and the function app on them."""

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local import azureml, host, identity, storage, topic
from local.app_settings import app_settings, exported
from local.azureml import AzureMl
from local.azureml.workspace import Endpoint
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
async def start(
    folder: RunFolder,
    *,
    endpoints: Iterable[Endpoint] = (),
    step_seconds: float = azureml.STEP_SECONDS,
    operation_seconds: float = azureml.OPERATION_SECONDS,
) -> AsyncIterator[Azure]:
    """Run storage, Azure ML, the topic and the identity endpoint in this process.

    Raises:
        RuntimeError: one of them already runs in this folder.
    """
    async with (
        identity.start(folder) as tokens,
        storage.start(folder) as blobs,
        topic.start(folder) as events,
        azureml.start(
            folder, endpoints, step_seconds=step_seconds, operation_seconds=operation_seconds
        ) as workspace,
    ):
        with exported(folder):
            yield Azure(
                folder=folder, storage=blobs, azureml=workspace, topic=events, identity=tokens
            )


@contextlib.asynccontextmanager
async def hosts(
    folder: RunFolder,
    on_line: Callable[[str], None],
    *,
    count: int = 1,
    program: Program = "local",
    pace: float = 1.0,
) -> AsyncIterator[list[Host]]:
    """Run the function app on `count` hosts.

    `on_line` is called with each line of their logs. The file `host.log` has the lines as well, with
    the time and the name of the host.
    """
    settings = app_settings(folder, pace=pace)
    with folder.alone("host"), (folder.path / "host.log").open("w") as log:

        def log_line(name: str, line: str) -> None:
            print(f"{datetime.now(UTC):%H:%M:%S.%f} {name} {line}", file=log, flush=True)
            on_line(line)

        async with contextlib.AsyncExitStack() as running:
            yield [
                await running.enter_async_context(
                    host.start(
                        folder,
                        APP,
                        settings,
                        name=name,
                        program=program,
                        on_line=functools.partial(log_line, name),
                    )
                )
                for name in ["host", *(f"host-{number}" for number in range(2, count + 1))]
            ]
