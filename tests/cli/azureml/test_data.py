"""`data create`: V2 data assets from paths and URIs."""

from pathlib import Path

import pytest

from local.azure import Azure
from scoring.cli.azureml.data import register
from scoring.cli.azureml.deploy.contents import content_of
from scoring.cli.azureml.deploy.yaml_schema import Data
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from tests.cli.azureml.samples import Samples
from tests.cli.conftest import Commands

URI = "https://pipelinedata.blob.core.windows.net/sampledata/mnist"


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path)


async def test_a_path_is_uploaded_and_registered_once(
    azure: Azure, command: Commands, samples: Samples
) -> None:
    name, folder = f"asset-{samples.number}", samples.folder / "model"
    first = await command("data", "create", name, folder, "-o", "json")
    second = await command("data", "create", name, folder, "-o", "json")

    (made,), (same,) = first.document["resources"], second.document["resources"]
    assert (made["version"], made["change"], made["uploaded"]["files"]) == ("1", "created", 1)
    assert (same["version"], same["change"]) == ("1", "unchanged")
    assert azure.azureml.data[name, "1"][0] == "uri_folder"
    assert f"LocalUpload/{content_of(folder).digest}/model" in azure.azureml.data[name, "1"][1]


async def test_a_uri_is_registered_as_it_is(session: Session, samples: Samples) -> None:
    name = f"asset-{samples.number}"
    data = Data(name=name, path=URI, description="Digits")

    done = await register(session, data)

    assert (done.resources[0].version, done.resources[0].uploaded) == ("1", None)
    shown = await session.arm.get(f"data/{name}/versions/1")
    assert shown is not None
    assert shown["properties"]["dataUri"] == URI
    assert shown["properties"]["description"] == "Digits"


async def test_a_short_uri_is_registered_in_its_long_form(
    azure: Azure, session: Session, samples: Samples
) -> None:
    name = f"asset-{samples.number}"

    for _ in range(2):
        data = Data(name=name, path="azureml://datastores/workspaceblobstore/paths/a/b.csv")
        await register(session, data)

    assert azure.azureml.data[name, "1"][1] == (
        "azureml://subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/local"
        "/workspaces/landfall/datastores/workspaceblobstore/paths/a/b.csv"
    )
    assert (name, "2") not in azure.azureml.data


async def test_other_content_is_the_next_version(session: Session, samples: Samples) -> None:
    name, file = f"asset-{samples.number}", samples.folder / "model/weights.txt"
    versions = []
    for content in ("one", "two", "two"):
        file.write_text(content)
        data = Data(name=name, path=str(file), type="uri_file")
        versions.append((await register(session, data)).resources[0].version)

    assert versions == ["1", "2", "2"]


async def test_a_version_does_not_change(session: Session, samples: Samples) -> None:
    name = f"asset-{samples.number}"
    await register(session, Data(name=name, path=URI, version="x"))

    with pytest.raises(Refused, match="version x exists with other content"):
        await register(session, Data(name=name, path=f"{URI}2", version="x"))


async def test_a_secret_is_not_registered_and_not_repeated(command: Commands) -> None:
    """Who may read the workspace would read it, too."""
    ended = await command("data", "create", "leak", f"{URI}?sv=2024&sp=r&sig=c2VjcmV0")

    assert ended.code == 2
    assert "contains a secret" in ended.err
    assert "c2VjcmV0" not in ended.err + ended.out


async def test_what_is_no_such_kind_is_refused(session: Session, samples: Samples) -> None:
    folder = str(samples.folder / "model")

    with pytest.raises(UsageError, match="name: 'a/b' must be"):
        await register(session, Data(name="a/b", path=folder))
    with pytest.raises(UsageError, match="type: is uri_file, but the path is a folder"):
        await register(session, Data(name="a", path=folder, type="uri_file"))
