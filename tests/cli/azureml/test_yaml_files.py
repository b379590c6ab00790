"""What files may contain, and that all their mistakes are reported at once."""

from pathlib import Path

import pytest

from scoring.cli.azureml.deploy.preparation import prepare, secret_in
from scoring.cli.azureml.deploy.yaml_files import read
from scoring.cli.azureml.deploy.yaml_schema import (
    Compute,
    Data,
    Deployment,
    Endpoint,
    Environment,
    Model,
    Settings,
    SettingsBelow,
)
from scoring.cli.failures import UsageError
from tests.cli.azureml.samples import Samples

YAML = Path(__file__).parent / "yaml"
KINDS = (Compute, Model, Environment, Data, Endpoint, Deployment)
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w"


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path)


def mistakes(*files: Path) -> list[str]:
    with pytest.raises(UsageError) as refused:
        prepare(read(files).files, WORKSPACE)
    found: list[str] = refused.value.details["mistakes"]
    folder = str(files[0].parent)
    return [one.replace(f"{folder}/", "") for one in found]


def test_the_samples_say_every_field_of_every_kind() -> None:
    """So that the tests over all samples leave nothing out."""
    reading = read(sorted(YAML.glob("*.yml")))

    assert reading.warnings == []
    for kind in KINDS:
        documents = [one.document for one in reading.files if isinstance(one.document, kind)]
        unsaid = {
            name
            for name in kind.__struct_fields__
            if all(getattr(one, name) is None for one in documents)
        }
        assert unsaid == set(), kind
    below = [
        one.document.settings
        for one in reading.files
        if isinstance(one.document, Deployment) and one.document.settings
    ]
    for name in Settings.__struct_fields__:
        assert any(getattr(one, name) is not None for one in below), name
    assert issubclass(SettingsBelow, Settings)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("$schema: https://x/latest/model.schema.json\nname: a\npath: https://x/y", Model),
        ("type: amlcompute\nname: aa", Compute),
        ("size: s\nname: aa", Compute),
        ("type: uri_file\nname: a\npath: https://x/y", Data),
        ("type: mlflow_model\nname: a\npath: https://x/y", Model),
        ("image: i\nname: a", Environment),
        ("name: aaa\nauth_mode: aad_token", Endpoint),
        ("name: aaa\nendpoint_name: bbb\ncompute: c\nmodel: azureml:m:1", Deployment),
    ],
)
def test_what_a_file_is_about_is_told_by_schema_or_fields(
    samples: Samples, text: str, kind: type
) -> None:
    (file,) = read([samples.write("file.yml", text)]).files

    assert isinstance(file.document, kind)


def test_all_mistakes_of_all_files_are_reported_at_once(samples: Samples) -> None:
    files = [
        samples.deployment(
            name="1st",
            endpoint_name=None,
            settings={"mini_batch_size": 0, "retry_settings": {"timeout": "30"}},
            model={"path": "model", "flavors": {}},
        ),
        samples.endpoint(auth_mode="key"),
        samples.environment(image=None, build={"path": "."}),
        samples.write("no.yml", "a: [1"),
        samples.write("list.yml", "- a"),
        samples.folder / "missing.yml",
        samples.write("what.yml", "name: a"),
        samples.file("online.yml", "managedOnlineEndpoint"),
    ]

    found = mistakes(*files)

    assert found[:2] == [
        (
            "first.yml: model.flavors: is not supported: it is for deployments without code;"
            " leave it out"
        ),
        "first.yml: settings.mini_batch_size: Expected `int` >= 1",
    ]
    assert [one.split(": ")[0] + ": " + one.split(": ")[1] for one in found[2:]] == [
        "first.yml: settings.retry_settings.timeout",
        "first.yml: endpoint_name",
        "endpoint.yml: auth_mode",
        "environment.yml: build",
        "no.yml: not YAML",
        "list.yml: must be a mapping of fields",
        "missing.yml: No such file or directory",
        "what.yml: unclear what it describes",
        "online.yml: $schema",
    ]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("deployment", "component", "azureml:x:1"),
        ("deployment", "job_definition", {}),
        ("deployment", "identity", {}),
        ("deployment", "type", "pipeline"),
        ("deployment", "resources", {"shm_size": "2g"}),
        ("compute", "identity", {}),
        ("compute", "ssh_settings", {}),
        ("compute", "network_settings", {}),
        ("compute", "type", "computeinstance"),
        ("endpoint", "identity", {}),
        ("environment", "build", {}),
        ("environment", "inference_config", {}),
        ("environment", "os_type", "windows"),
        ("data", "type", "mltable"),
        ("data", "auto_delete_setting", {}),
        ("model", "datastore", "azureml:x"),
    ],
)
def test_what_is_not_supported_is_refused(
    samples: Samples, kind: str, field: str, value: object
) -> None:
    file = getattr(samples, kind)(**{field: value})

    (mistake,) = mistakes(file)

    assert mistake.startswith(f"{file.name}: {field}")


def test_what_is_not_known_is_a_warning(samples: Samples) -> None:
    reading = read([samples.deployment(colour="red", settings={"a_field_of_next_year": 1})])

    assert [one.rpartition("/")[2] for one in reading.warnings] == [
        "first.yml: colour: is unknown and has no effect",
        "first.yml: settings.a_field_of_next_year: is unknown and has no effect",
    ]


def test_what_the_service_wrote_into_a_file_is_no_warning(samples: Samples) -> None:
    """Files that `az ml … show` printed can be deployed."""
    reading = read([samples.endpoint(id="x", scoring_uri="https://x", provisioning_state="y")])

    assert reading.warnings == []


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({"model": "model"}, "model: 'model' must be azureml:NAME:VERSION"),
        ({"model": "azureml:m"}, "model: 'azureml:m' names no version: use azureml:m@latest"),
        ({"model": "azureml:m@newest"}, "model: 'azureml:m@newest' must be"),
        ({"model": {"path": "nowhere"}}, "model.path: nowhere: No such file"),
        (
            {"model": {"path": "https://x/y?sv=1&sig=se%2Bcret"}},
            "model.path: https://x/y?sv=1&sig=",
        ),
        (
            {"environment": {"image": "i", "conda_file": "no"}},
            "environment.conda_file: no: No such",
        ),
        (
            {"environment": {"image": "i", "conda_file": "model/weights.txt"}},
            "environment.conda_file: must be a conda environment",
        ),
        (
            {"code_configuration": {"code": "code", "scoring_script": "other.py"}},
            "code_configuration.scoring_script: there is no other.py in code",
        ),
        (
            {"code_configuration": {"code": "https://x/y", "scoring_script": "s"}},
            "code_configuration.code: 'https://x/y' must be a folder on this machine",
        ),
        ({"compute": "local"}, "compute: 'local' must be azureml:NAME"),
        ({"name": "a"}, "name: 'a' must be 3 to 32 letters"),
        ({"endpoint_name": "a/b"}, "endpoint_name: 'a/b' must be 3 to 32 letters"),
        ({"model": None, "code_configuration": None}, "model: is missing, and so is"),
        ({"code_configuration": None}, "code_configuration: is missing; only models of type"),
        (
            {"mini_batch_size": 3, "settings": {"mini_batch_size": 4}},
            "mini_batch_size: is set twice",
        ),
        ({"environment_variables": {"A": None}}, "environment_variables[...]: Expected"),
        ({"model": {"path": "model", "version": "1"}}, "model.version: needs a name"),
        ({"model": {"path": "model", "name": "../up"}}, "model.name: '../up' must be letters"),
    ],
)
def test_a_mistake_names_file_and_field_and_what_to_do(
    samples: Samples, fields: dict[str, object], mistake: str
) -> None:
    found = mistakes(samples.deployment(**fields))

    assert len(found) == 1
    assert found[0].startswith(f"first.yml: {mistake}")
    assert "se%2Bcret" not in found[0]


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("https://x/y?sp=r&sig=s3cr3t", "https://x/y?sp=r&sig=*** contains a secret"),
        ("https://me:s3cr3t@x/y", "https://***@x/y contains a secret"),
        ("https://x/y?version=2", None),
        ("wasbs://container@account.blob.core.windows.net/y", None),
        ("azureml://datastores/d/paths/p", None),
    ],
)
def test_a_uri_with_a_secret_is_reported_without_it(uri: str, problem: str | None) -> None:
    assert (secret_in(uri) or "").partition(":" if problem is None else ": register")[0] == (
        problem or ""
    )


def test_the_kind_of_data_is_what_the_path_is(samples: Samples) -> None:
    assert mistakes(samples.data(type="uri_file")) == [
        "data.yml: type: is uri_file, but the path is a folder"
    ]
    assert mistakes(samples.data(type="uri_folder", path="model/weights.txt")) == [
        "data.yml: type: is uri_folder, but the path is a file"
    ]


def test_one_resource_is_asked_for_once(samples: Samples) -> None:
    """Two files that say it in two ways would undo each other's work at every run."""
    samples.write("other/weights.txt", "other")
    same = {"name": "m"}
    files = [
        samples.deployment(model={"path": "model", **same}),
        samples.deployment("second", model={"path": "other", **same}),
        samples.endpoint(),
        samples.endpoint(),
    ]

    assert mistakes(*files) == [
        f"endpoint {samples.endpoint_name} is described 2 times: keep one",
        "model m with different content is described 2 times: keep one",
    ]


def test_a_mlflow_model_needs_no_code(samples: Samples) -> None:
    model = {"path": "model", "type": "mlflow_model"}
    file = samples.deployment(model=model, code_configuration=None, environment=None)

    (deployment,) = prepare(read([file]).files, WORKSPACE).deployments

    assert (deployment.code, deployment.environment) == (None, None)


def test_a_date_is_a_version(samples: Samples) -> None:
    file = samples.write(
        "model.yml", "type: custom_model\nname: m\nversion: 2026-11-25\npath: model"
    )

    (version,) = prepare(read([file]).files, WORKSPACE).versions

    assert version.version == "2026-11-25"
