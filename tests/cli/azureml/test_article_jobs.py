"""The article's walk from the scoring URI to the end of a batch job: request by request.

The files in `requests/` are named after the article's snippets.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import pytest

from local.names import DATASTORE, LOCATION, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE, WORKSPACE_ID
from scoring.cli.azureml.invoke.command import invoke
from scoring.cli.azureml.invoke.output_options import OutputOptions
from scoring.cli.azureml.job import commands as job
from scoring.cli.session import Session
from tests.cli.azureml.session_requests import record
from tests.cli.conftest import once
from tests.local.site import Site

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
    ("invoke_public_folder", {"folder": PUBLIC, "input_name": "mnistinput"}),
    ("invoke_datastore_folder_short", {"folder": SHORT}),
    ("invoke_datastore_folder_long", {"folder": LONG, "input_name": "mnistinput"}),
    ("invoke_data_asset_id", {"folder": ASSET}),
    ("invoke_data_asset_arm_id", {"folder": ARM_ID}),
    ("invoke_public_file", {"file": f"{PUBLIC}/0.png"}),
    (
        "invoke_output",
        {
            "folder": SHORT,
            "output_name": "mnistOutput",
            "output_kind": "file",
            "options": OutputOptions(output=(f"azureml://{HERE}/mnistOutput/mine.csv",)),
        },
    ),
    ("invoke_deployment", {"folder": SHORT, "deployment": "other"}),
]


def expected(step: str, **values: str) -> dict[str, Any]:
    text = (REQUESTS / f"{step}.json").read_text()
    request: dict[str, Any] = json.loads(Template(text).substitute(values))
    return request


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
        given = {"input_name": "mnistInput", "output_kind": "none", **arguments}
        await invoke(endpoint=endpoint, session=once(session), **given)
        looks = ["get_datastore"] if name == "invoke_output" else []
        steps = ["get_endpoint", *looks, name]
        assert recording.requests == list(map(expected, steps))
        recording.requests.clear()
        made = json.loads(capsys.readouterr().out)["batch_job"]
    await job.show(made, endpoint=endpoint, session=session)
    assert recording.requests == [expected("get_endpoint"), expected("check_job", JOB=made)]


async def test_a_bearer_token_of_the_right_audience_goes_with_each(
    session: Session, endpoint: str
) -> None:
    recording = record(session)
    await invoke(endpoint=endpoint, folder=SHORT, output_kind="none", session=session)
    tokens = [request.headers["Authorization"] for request in recording.raw]
    assert all(token.startswith("Bearer ") for token in tokens)
    assert len(set(tokens)) == 2
