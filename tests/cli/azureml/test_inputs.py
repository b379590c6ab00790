"""What `--file` and `--folder` may say."""

from pathlib import Path

import pytest

from scoring.cli.azureml.invoke.inputs import DataAsset, source
from scoring.cli.failures import UsageError

LONG = "azureml://subscriptions/s/resourceGroups/g/workspaces/w/datastores/d/paths/in/"
ARM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.mark.parametrize(
    "argument",
    [
        "azureml://datastores/workspaceblobstore/paths/mnist",
        "azureml://datastores/workspaceblobstore/paths/what?/a#b@c.csv",
        LONG,
        "azureml://locations/westus2/workspaces/w/data/mnist/versions/1",
        "azureml://locations/westus2/workspaces/w/data/mnist/versions/1/",
        f"{ARM}/data/mnist/versions/1",
        f"{ARM.replace('resourceGroups', 'resourcegroups')}/data/mnist/versions/1",
        "https://pipelinedata.blob.core.windows.net/sampledata/mnist",
        "https://example.org/a@b/mnist",
    ],
)
def test_every_form_of_a_uri_goes_to_the_endpoint_as_it_is(argument: str) -> None:
    assert source(None, argument).where == argument
    assert source(None, argument).kind == "folder"
    assert source(argument, None).where == argument
    assert source(argument, None).kind == "file"


def test_a_data_asset_is_named_by_name_and_version() -> None:
    assert source(None, "azureml:mnist:7").where == DataAsset(name="mnist", version="7")


def test_all_else_is_a_path_on_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.touch()
    assert source(str(file), None).where == file
    assert source(None, str(tmp_path)).where == tmp_path


def test_a_path_must_be_there_and_of_the_kind_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with pytest.raises(UsageError, match="there is no such file"):
        source(str(file), None)
    file.touch()
    with pytest.raises(UsageError, match="it is a file: use --file"):
        source(None, str(file))
    with pytest.raises(UsageError, match="it is a folder: use --folder"):
        source(str(tmp_path), None)


@pytest.mark.parametrize(("file", "folder"), [(None, None), ("a", "b")])
def test_exactly_one_thing_is_scored(file: str | None, folder: str | None) -> None:
    with pytest.raises(UsageError, match="either --file or --folder"):
        source(file, folder)


@pytest.mark.parametrize(
    "argument",
    [
        "https://a.blob.core.windows.net/c/f?sv=1&sig=geheim",
        "https://user:geheim@example.org/f",
        "HTTPS://a.blob.core.windows.net/c/f#geheim",
        "http://a.blob.core.windows.net/c/f?sig=geheim",
        "abfss://geheim@a.dfs.core.windows.net/f",
        "wasbs://c@a/f?sig=geheim",
    ],
)
def test_a_secret_is_refused_and_not_printed(argument: str) -> None:
    """It would stand in the batch job for all who may read that."""
    with pytest.raises(UsageError) as refusal:
        source(argument, None)
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    "argument",
    [
        "azureml:mnist",
        "azureml:mnist@latest",
        "azureml://jobs/x/outputs/y",
        "azureml://datastores/d/paths/",
        "http://example.org/f",
        "ftp://example.org/f",
    ],
)
def test_other_forms_are_refused_with_those_that_there_are(argument: str) -> None:
    with pytest.raises(UsageError, match="azureml:NAME:VERSION"):
        source(argument, None)
