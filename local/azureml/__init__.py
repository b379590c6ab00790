"""A workspace's control plane and its batch endpoints, which run real scoring scripts.

`control_plane` answers ARM, `scoring_uris` the endpoints; `lifecycle` lets jobs live, `scoring`
does their work in a process of its own, `worker`. `deployment_files` says what a deployment is.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from local.azureml import deployment_files
from local.azureml.admin import Admin
from local.azureml.answers import guard
from local.azureml.control_plane import ControlPlane
from local.azureml.jobs import BatchJob, Plan
from local.azureml.part import AzureMl
from local.azureml.scoring_uris import ScoringUris
from local.azureml.workspace import Workspace
from local.run_folder import RunFolder
from local.serving import serve

__all__ = ["DEPLOYMENTS", "AzureMl", "BatchJob", "Plan", "start"]

DEPLOYMENTS = Path(__file__).parent.parent / "deployments"
STEP_SECONDS = 0.2  # that each state of a job lasts


@contextlib.asynccontextmanager
async def start(
    folder: RunFolder, deployments: Path = DEPLOYMENTS, *, step_seconds: float = STEP_SECONDS
) -> AsyncIterator[AzureMl]:
    """Run ARM and the scoring URIs, over TLS.

    Each state of a job before its end lasts `step_seconds`.

    Raises:
        DeploymentFileError: a YAML file among the deployments cannot be used.
    """
    workspace = Workspace(endpoints=deployment_files.read(deployments))
    part = AzureMl(folder, workspace, step_seconds=step_seconds)
    with folder.alone("azureml"):
        try:
            async with serve(_app(part), tls=folder.server_tls()) as url:
                part.url = url
                uris = {name: part.scoring_uri(name) for name in workspace.endpoints}
                with folder.announced("azureml", arm=url, endpoints=uris):
                    yield part
        finally:
            await part.lifecycle.close()


def _app(part: AzureMl) -> web.Application:
    app = web.Application()
    part.faults.install(app)
    app.middlewares.append(guard)
    for paths in (ControlPlane(part), ScoringUris(part), Admin(part)):
        paths.install(app)
    return app
