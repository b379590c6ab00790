"""The article's walk up to the default deployment, its data asset, and its end: request by request.

The files in `requests/` are named after the article's snippets.
"""

import json
from pathlib import Path
from typing import Any

from local.azure import Azure
from tests.cli.azureml.recording import recording
from tests.cli.conftest import Commands

HERE = Path(__file__).parent
ARTICLE = HERE / "yaml" / "article"

WALK = (
    "create_compute",
    "create_code",
    "create_model",
    "create_environment",
    "create_endpoint",
    "create_deployment",
    "set_endpoint_defaults",
    "create_data",
    "delete_endpoint",
)


def expected(step: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads((HERE / "requests" / f"{step}.json").read_text())
    return request


async def test_every_request_is_made_as_the_article_makes_it(
    azure: Azure, command: Commands
) -> None:
    for step in WALK:  # it begins with nothing, whatever other tests left
        azure.azureml.resources.remove(expected(step)["path"].partition("/landfall/")[2])
    files = [ARTICLE / f"{name}.yml" for name in ("deployment", "endpoint", "compute")]
    uri = "https://pipelinedata.blob.core.windows.net/sampledata/mnist"
    data = ["mnist", uri, "--version", "1", "--description", "Mnist data asset"]
    async with recording(azure.folder, azure.azureml.url) as recorder:
        for arguments in (
            ["deploy", *files, "--set-default"],
            ["data", "create", *data],
            ["delete", "mnist-article", "--yes"],
        ):
            ended = await command(*arguments, LANDFALL_ARM_URL=recorder.url)
            assert ended.code == 0, ended.err

    assert recorder.changes() == [expected(step) for step in WALK]
    assert expected("get_storage_details") in recorder.requests
