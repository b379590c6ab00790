"""An Azure ML workspace: its control plane, and batch endpoints that run real scoring scripts.

`control_plane`, `assets`, `computes`, `batch_endpoints` and `batch_deployments` serve ARM paths,
`scoring_uris` those of the endpoints. `operations` has the long operations, `lifecycle` the states
of batch jobs; `scoring` does the work of a job, in a separate process (`worker`). `deploying` turns
the body of a PUT into a `Deployment`, which `workspace` defines.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from local.azureml.admin import Admin
from local.azureml.answers import guard
from local.azureml.assets import Assets
from local.azureml.batch_deployments import BatchDeployments
from local.azureml.batch_endpoints import BatchEndpoints
from local.azureml.computes import Computes
from local.azureml.control_plane import ControlPlane
from local.azureml.jobs import BatchJob, Plan
from local.azureml.operation_paths import OperationPaths
from local.azureml.operations import Failure, OperationPlan
from local.azureml.part import AzureMl
from local.azureml.scoring_uris import ScoringUris
from local.azureml.workspace import Endpoint, Workspace
from local.run_folder import RunFolder
from local.serving import serve

__all__ = [
    "AzureMl",
    "BatchJob",
    "Failure",
    "OperationPlan",
    "Plan",
    "start",
]

STEP_SECONDS = 0.2  # duration of each state of a job
OPERATION_SECONDS = 0.2  # duration of a PUT or DELETE of a compute, endpoint or deployment


@contextlib.asynccontextmanager
async def start(
    folder: RunFolder,
    endpoints: Iterable[Endpoint] = (),
    *,
    step_seconds: float = STEP_SECONDS,
    operation_seconds: float = OPERATION_SECONDS,
) -> AsyncIterator[AzureMl]:
    """Run ARM and the scoring URIs, over TLS.

    Each state of a job before its end lasts `step_seconds`, each long operation of ARM
    `operation_seconds`. The endpoints exist from the start; others can be PUT.

    Raises:
        RuntimeError: it already runs in this folder.
    """
    workspace = Workspace(endpoints={endpoint.name: endpoint for endpoint in endpoints})
    part = AzureMl(
        folder, workspace, step_seconds=step_seconds, operation_seconds=operation_seconds
    )
    with folder.alone("azureml"):
        part.files.clear()
        try:
            async with (
                serve(_app(part), tls=folder.server_tls()) as part.url,
                serve(_app(part), tls=folder.server_tls()) as part.scoring_url,
            ):
                uris = {name: part.scoring_uri(name) for name in workspace.endpoints}
                with folder.announced("azureml", arm=part.url, endpoints=uris):
                    yield part
        finally:
            await part.operations.close()
            await part.lifecycle.close()


def _app(part: AzureMl) -> web.Application:
    app = web.Application()
    part.faults.install(app)
    app.middlewares.append(guard)
    for paths in (
        ControlPlane(part),
        Assets(part),
        Computes(part),
        BatchEndpoints(part),
        BatchDeployments(part),
        OperationPaths(part),
        ScoringUris(part),
        Admin(part),
    ):
        paths.install(app)
    return app
