"""`data create`."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App

from scoring.cli.deploying.applying import Applier
from scoring.cli.deploying.contents import Content, content_of
from scoring.cli.deploying.deploy import plain, show
from scoring.cli.deploying.preparation import data_version, secret_in
from scoring.cli.deploying.references import is_uri
from scoring.cli.deploying.state import Deployed, Outcome
from scoring.cli.deploying.yaml_schema import Data
from scoring.cli.failures import UsageError
from scoring.cli.session import DEFAULTS, Needs, Options, Session

app = App(name="data", help="Register data that can be scored.")

DataType = Literal["uri_file", "uri_folder"]


@app.command
async def create(
    name: str,
    path: str,
    /,
    *,
    session: Annotated[Session, Needs],
    type: DataType | None = None,  # noqa: A002 - the option's name
    version: str | None = None,
    description: str | None = None,
    options: Options = DEFAULTS,
) -> None:
    """Register a file or folder as a V2 data asset.

    Args:
        name: Name of the asset.
        path: A file or folder on this machine, which is uploaded, or a URI: azureml://, https://…
        type: By default what the path is; for a URI uri_folder.
        version: By default the latest one if it has the same content, else the next.
        description: What the data is.
    """
    content = None if is_uri(path) else await asyncio.to_thread(content_of, Path(path))
    data = Data(
        name=name,
        path=path,
        type=type or _type_of(content),
        version=version,
        description=description,
    )
    done = await register(session, data, content)
    show(session.console, done)
    session.console.result(**plain(done))


async def register(session: Session, data: Data, content: Content | None) -> Deployed:
    """Register a data asset, unless it is there.

    Raises:
        UsageError: it cannot be registered so.
        Refused: its version exists with other content, or the service does not take it.
    """
    mistakes = [f"{field}: {what}" for field, what in data.mistakes()]
    problem = None if content else secret_in(data.path)
    if content and data.type != _type_of(content):
        problem = f"{data.path} is no {data.type}"
    if problem or mistakes:
        raise UsageError("; ".join([*mistakes, *([problem] if problem else [])]))
    wanted = data_version(data, content, session.arm.workspace_id)
    done = await Applier(session=session, dry=False).register(wanted)
    return Deployed(
        resources=[
            Outcome(
                kind="data",
                name=wanted.name,
                version=done.version,
                id=session.arm.id(f"data/{wanted.name}/versions/{done.version}"),
                change=done.change,
                uploaded=done.uploaded,
            )
        ],
    )


def _type_of(content: Content | None) -> DataType:
    return "uri_file" if content and content.files[0].path == "" else "uri_folder"
