"""The requests of "Deploy models using batch endpoints with REST APIs", in its order.

What each command asks of Azure ML stands in `requests/`, request by request.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.names import DATASTORE, LOCATION, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID
from scoring.cli import job
from scoring.cli.invoke import invoke
from scoring.cli.output_options import OutputOptions
from scoring.cli.session import Session
from tests.cli.recording import record
from tests.local.test_azureml_wire import Site

REQUESTS = Path(__file__).parent / "requests"
ENDPOINT = "mnist-walk"
HERE = f"datastores/{DATASTORE}/paths/{ENDPOINT}"
SHORT = f"azureml://{HERE}/mnist"
LONG = (
    f"azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/workspaces/{WORKSPACE}/{HERE}/mnist"
)
ASSET = f"azureml://locations/{LOCATION}/workspaces/{WORKSPACE}/data/mnist/versions/1/"
ARM_ID = f"{WORKSPACE_ID.replace('resourceGroups', 'resourcegroups')}/data/mnist/versions/1"
PUBLIC = "https://pipelinedata.blob.core.windows.net/sampledata/mnist"
WALK: list[tuple[str, Mapping[str, Any]]] = [
    ("invoke-public-folder", {"folder": PUBLIC, "input_name": "mnistinput"}),
    ("invoke-datastore-folder-short", {"folder": SHORT}),
    ("invoke-datastore-folder-long", {"folder": LONG, "input_name": "mnistinput"}),
    ("invoke-data-asset-id", {"folder": ASSET}),
    ("invoke-data-asset-arm-id", {"folder": ARM_ID}),
    ("invoke-public-file", {"file": f"{PUBLIC}/0.png"}),
    (
        "invoke-output",
        {
            "folder": SHORT,
            "output_name": "mnistOutput",
            "output_kind": "file",
            "options": OutputOptions(output=(f"azureml://{HERE}/mnistOutput/mine.csv",)),
        },
    ),
    ("invoke-deployment", {"folder": SHORT, "deployment": "other"}),
]


def expected(name: str, **values: str) -> list[dict[str, Any]]:
    text = (REQUESTS / f"{name}.json").read_text()
    for placeholder, value in values.items():
        text = text.replace(f"${placeholder}", value)
    return list(json.loads(text))


@pytest.fixture
def endpoint(site: Site) -> str:
    made = site.ml.workspace.endpoints.pop(site.deploy())
    made.name = ENDPOINT
    made.deployments["other"] = made.deployments["blue"]
    site.ml.workspace.endpoints[ENDPOINT] = made
    site.ml.data["mnist", "1"] = ("uri_folder", SHORT)
    return ENDPOINT


async def test_each_request_is_made_as_the_article_makes_it(
    session: Session, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session.console.as_json = True
    recording = record(session)
    for name, arguments in WALK:
        said = {"input_name": "mnistInput", "output_kind": "none", **arguments}
        await invoke(endpoint=endpoint, session=session, **said)
        assert recording.requests == expected(name), name
        recording.requests.clear()
        made = json.loads(capsys.readouterr().out)["job"]
    await job.show(made, endpoint=endpoint, session=session)
    assert recording.requests == expected("check-job", JOB=made)


async def test_a_bearer_token_of_the_right_audience_goes_with_each(
    session: Session, endpoint: str
) -> None:
    recording = record(session)
    await invoke(endpoint=endpoint, folder=SHORT, output_kind="none", session=session)
    tokens = [request.headers["Authorization"] for request in recording.raw]
    assert all(token.startswith("Bearer ") for token in tokens)
    assert len(set(tokens)) == 2
