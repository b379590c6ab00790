"""Deployments in the YAML of the Azure ML CLI v2."""

from datetime import timedelta
from pathlib import Path

import pytest

from local import azureml
from local.azureml import deployment_files
from local.azureml.deployment_files import DeploymentFileError
from local.azureml.workspace import Settings
from local.run_folder import RunFolder
from tests.local import test_azureml_wire as wire

GOOD = """\
name: blue
endpoint_name: heart
code_configuration: {code: ., scoring_script: score.py}
"""


def endpoint_folder(path: Path, **files: str) -> Path:
    """Lay out deployments with one endpoint, `heart`; return the folder of all."""
    folder = path / "deployments" / "heart"
    folder.mkdir(parents=True)
    (folder / "score.py").touch()
    for name, text in files.items():
        (folder / f"{name}.yml").write_text(text)
    return folder.parent


def test_the_current_form_has_settings_and_the_older_one_has_them_at_the_top() -> None:
    endpoints = deployment_files.read(wire.DEPLOYMENTS)
    current = endpoints["rows"].deployments["rows-1"].settings
    older = endpoints["table-endpoint"].deployments["threefold"]
    assert current == Settings(
        mini_batch_size=2, error_threshold=0, max_retries=1, timeout=timedelta(seconds=5)
    )
    assert older.settings == Settings(
        mini_batch_size=3,
        error_threshold=1,
        max_retries=0,
        timeout=timedelta(seconds=7),
        output_file_name="threefold.csv",
    )
    assert older.model == (wire.DEPLOYMENTS / "table" / "model").resolve()
    assert older.environment_variables == {"ROW": "a row"}


def test_a_deployment_may_lie_in_a_folder_below_its_endpoint() -> None:
    second = deployment_files.read(wire.DEPLOYMENTS)["table-endpoint"].deployments["second"]
    assert second.settings == Settings(output_action="summary_only")
    assert second.code == (wire.DEPLOYMENTS / "table" / "code").resolve()


def test_the_only_deployment_is_the_default_and_of_two_none_is(tmp_path: Path) -> None:
    folder = endpoint_folder(tmp_path, blue=GOOD)
    assert deployment_files.read(folder)["heart"].default_deployment == "blue"
    (folder / "heart" / "green.yml").write_text(GOOD.replace("blue", "green"))
    heart = deployment_files.read(folder)["heart"]
    assert (set(heart.deployments), heart.default_deployment) == ({"blue", "green"}, None)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"blue": "name: [", "green": GOOD}, r"blue\.yml: no YAML"),
        ({"blue": GOOD.replace("name: blue", "")}, r"blue\.yml: Object missing .*`name`"),
        (
            {"blue": GOOD.replace("score.py", "missing.py")},
            r"blue\.yml: code_configuration\.scoring_script: .*missing\.py does not exist",
        ),
        ({"blue": GOOD + "model: {path: model}"}, r"blue\.yml: model\.path: .* does not exist"),
        ({"blue": GOOD + "model: azureml:heart:1"}, r"blue\.yml: model: .* give its files here"),
        ({"blue": GOOD + "type: pipeline"}, r"blue\.yml: type: only 'model' runs here"),
        ({"blue": GOOD + "mini_batch_size: 0"}, r"blue\.yml: .*>= 1.*mini_batch_size"),
        (
            {"blue": GOOD + "settings: {retry_settings: {timeout: soon}}"},
            r"blue\.yml: .*retry_settings\.timeout",
        ),
        ({"blue": GOOD + "output_action: append"}, r"blue\.yml: .*output_action"),
        (
            {"blue": GOOD.replace("heart", "lung")},
            r"blue\.yml: endpoint_name: 'lung', but .*'heart'",
        ),
        ({"blue": GOOD, "green": GOOD}, r"green\.yml: name: 'blue' exists already"),
        ({}, r"heart: no deployment: add a YAML file"),
        (
            {"blue": GOOD, "endpoint": "defaults: {deployment_name: green}"},
            r"endpoint\.yml: defaults\.deployment_name: no deployment 'green'",
        ),
        ({"blue": GOOD, "endpoint": "defaults: green"}, r"endpoint\.yml: .*defaults"),
    ],
)
def test_a_mistake_names_the_file_and_the_field(
    files: dict[str, str], says: str, tmp_path: Path
) -> None:
    with pytest.raises(DeploymentFileError, match=says):
        deployment_files.read(endpoint_folder(tmp_path, **files))


def test_two_folders_may_not_name_the_same_endpoint(tmp_path: Path) -> None:
    folder = endpoint_folder(tmp_path, blue=GOOD)
    other = folder / "lung"
    other.mkdir()
    (other / "score.py").touch()
    (other / "endpoint.yml").write_text("name: heart")
    (other / "blue.yml").write_text(GOOD)
    with pytest.raises(DeploymentFileError, match="lung: endpoint 'heart' exists already"):
        deployment_files.read(folder)


async def test_a_mistake_stops_the_start(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(DeploymentFileError, match="there is no such folder of deployments"):
        async with azureml.start(folder, tmp_path / "nowhere"):
            pass
    assert "azureml" not in folder.addresses()
