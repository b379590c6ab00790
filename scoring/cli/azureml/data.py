"""The commands `data …`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App

from scoring.cli.azureml.deploy.apply import Deployed, apply
from scoring.cli.azureml.deploy.command import plain, show
from scoring.cli.azureml.deploy.yaml_files import YamlFile, refuse
from scoring.cli.azureml.deploy.yaml_schema import Data
from scoring.cli.session import DEFAULTS, Needs, Options, Session

app = App(name="data", help="Register data assets to score.", version_flags=[])

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
        path: A file or folder on this machine, which is uploaded; or a URI: azureml://, https://…
        type: By default what the path is; for a URI uri_folder.
        version: By default the latest one if it has the same content, else the next.
        description: A description of the data.
    """
    data = Data(
        name=name,
        path=path,
        type=type or _type_of(path),
        version=version,
        description=description,
    )
    done = await register(session, data)
    show(session.console, done)
    session.console.result(**plain(done))


async def register(session: Session, data: Data) -> Deployed:
    """Register a data asset, unless it is registered. Relative paths are those of this folder.

    Raises:
        UsageError: a field is wrong.
        Refused: its version exists with other content, or the service refuses it.
    """
    refuse([f"{field}: {what}" for field, what in data.mistakes()])
    return await apply(session, [YamlFile(path=Path("data create"), document=data)])


def _type_of(path: str) -> DataType:
    return "uri_file" if Path(path).is_file() else "uri_folder"
