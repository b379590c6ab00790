"""Checks of an asset beyond the type of its body, such as where its URIs point."""

from collections.abc import Iterator

from local.azureml.asset_bodies import (
    CodeVersion,
    DataType,
    DataVersion,
    EnvironmentVersion,
    ModelVersion,
)
from local.azureml.reading import Mistake
from local.azureml.uris import input_place, is_asset, stored_place
from local.azureml.workspace import Workspace


def code_mistake(code: CodeVersion, workspace: Workspace) -> Iterator[Mistake]:
    """Yield the mistakes in a code version."""
    if not code.code_uri.lower().startswith("https://"):
        yield _mistake("codeUri", f"{code.code_uri!r} is not an https URL of a folder in storage")
    else:
        yield from _not_stored("codeUri", code.code_uri, workspace)


def model_mistake(model: ModelVersion, workspace: Workspace) -> Iterator[Mistake]:
    """Yield the mistakes in a model version."""
    yield from _not_stored("modelUri", model.model_uri, workspace)


def environment_mistake(environment: EnvironmentVersion, _: Workspace) -> Iterator[Mistake]:
    """Yield the mistakes in an environment version."""
    if bool(environment.image) == bool(environment.build):
        yield _mistake("image", "an environment has either an image or a build")
    if environment.conda_file and not environment.image:
        yield _mistake("condaFile", "a conda file needs an image to go with")


def data_mistake(data: DataVersion, workspace: Workspace) -> Iterator[Mistake]:
    """Yield the mistakes in a data version."""
    kind = "UriFile" if data.data_type == DataType.FILE else "UriFolder"
    if is_asset(data.data_uri):
        yield _mistake("dataUri", "a data asset cannot name another")
        return
    try:
        input_place(data.data_uri, kind, workspace, decode_percent=False)
    except ValueError as mistake:
        yield _mistake("dataUri", str(mistake))


def _not_stored(field: str, uri: str, workspace: Workspace) -> Iterator[Mistake]:
    try:
        stored_place(uri, workspace, decode_percent=False)
    except ValueError as mistake:
        yield _mistake(field, str(mistake))


def _mistake(field: str, message: str) -> Mistake:
    return Mistake("InvalidValue", f"properties.{field}: {message}", f"properties.{field}")
