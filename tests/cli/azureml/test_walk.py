"""The article's snippets with curl, from the compute cluster to the deletion of the endpoint."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from local.azure import Azure
from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    LANDING_ACCOUNT,
    LOCATION,
    ML_AUDIENCE,
    RESOURCE_GROUP,
    STORAGE_AUDIENCE,
    SUBSCRIPTION,
    WORKSPACE,
)
from local.tokens import issue
from tests.local.site import ECHO, Site

WALK = Path(__file__).with_name("walk.sh")
STEPS = """\
create_compute
get_storage_details workspaceblobstore
create_code
create_model
create_environment
create_endpoint
create_deployment nonmlflowedp
create_deployment second
set_endpoint_defaults
get_endpoint
public_folder Completed
datastore_folder_short Completed
datastore_folder_long Completed
create_data
data_asset_id Completed
data_asset_arm_id Completed
public_file Completed
output Completed
deployment Completed
output_exists Failed
results 0.png=zero
results 1.png=one
delete_endpoint
""".splitlines()


async def test_the_article_can_be_walked_with_curl(
    azure: Azure, site: Site, tmp_path: Path
) -> None:
    """Folders that are public for the article lie in the workspace's storage here."""
    if shutil.which("curl") is None:
        reason = "there is no curl"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    for name, text in (
        ("code/score.py", ECHO),
        ("model/weights", "1"),
        ("in/0.png", "zero"),
        ("in/1.png", "one"),
        ("conda.yml", "dependencies:\n  - python\n"),
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    await site.put(**{"public/0.png": "zero", "public/1.png": "one"})
    blobs = azure.folder.addresses()["storage"]["blob"]
    ended = await asyncio.create_subprocess_exec(
        *("bash", str(WALK)),
        env={
            "PATH": os.environ["PATH"],
            "CURL_CA_BUNDLE": str(azure.folder.ca_file),
            "SUBSCRIPTION_ID": SUBSCRIPTION,
            "RESOURCE_GROUP": RESOURCE_GROUP,
            "WORKSPACE": WORKSPACE,
            "LOCATION": LOCATION,
            "TOKEN": issue(ARM_AUDIENCE, client="walk"),
            "SCORING_TOKEN": issue(ML_AUDIENCE, client="walk"),
            "STORAGE_TOKEN": issue(STORAGE_AUDIENCE, client="walk"),
            "ARM_URL": azure.azureml.url,
            "BLOB_URL": f"{blobs}/{LANDING_ACCOUNT}",
            "ENDPOINT_NAME": "walk",
            "PAUSE": "0.1",
            "PUBLIC_FOLDER": f"https://{LANDING_ACCOUNT}.blob.core.windows.net/{CONTAINER}"
            f"/{site.here}/public",
            "CODE_FOLDER": str(tmp_path / "code"),
            "CODE_SCRIPT": "score.py",
            "MODEL_FOLDER": str(tmp_path / "model"),
            "INPUT_FOLDER": str(tmp_path / "in"),
            "CONDA_FILE": str(tmp_path / "conda.yml"),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(ended.communicate(), timeout=300)
    assert ended.returncode == 0, out.decode() + err.decode()
    printed = re.sub(r" (batchjob-\S+|https://localhost\S+)", "", out.decode())
    assert printed.splitlines() == STEPS
    assert azure.azureml.workspace.endpoint("walk") is None
    jobs = [job for job in azure.azureml.jobs.values() if job.endpoint == "walk"]
    assert [job.deployment for job in jobs].count("second") == 1
