"""Records for tests: each factory fills in the dull fields."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from scoring.jobs.batch_job import BatchJob, JobState
from scoring.jobs.blobs import Blob
from scoring.jobs.job import ContainerRef, Job, job_for
from scoring.jobs.landing import Landing
from scoring.jobs.progress import OpenJob, Progress, State
from scoring.routes.route import Ready, Route

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def landing(path: str = "landing/a.csv", **fields: Any) -> Landing:
    """Return the landing of a small file."""
    dull = {"account": "landingzone", "container": "c", "etag": "0x1", "size": 10, "landed": NOW}
    return Landing(path=path, **{**dull, **fields})


def created(landed: Landing, **fields: Any) -> dict[str, Any]:
    """Return the BlobCreated event of a landing."""
    account = f"{landed.account}.blob.core.windows.net"
    return {
        "specversion": "1.0",
        "id": "1",
        "source": f"/providers/Microsoft.Storage/storageAccounts/{landed.account}",
        "subject": f"/blobServices/default/containers/{landed.container}/blobs/{landed.path}",
        "type": "Microsoft.Storage.BlobCreated",
        "time": landed.landed.isoformat(),
        "data": {
            "api": "PutBlob",
            "eTag": landed.etag,
            "contentLength": landed.size,
            "url": f"https://{account}/{landed.container}/{landed.path}",
        },
        **fields,
    }


def route(**fields: Any) -> Route:
    """Return a route that scores each file below `landing/`."""
    dull = {
        "name": "files",
        "datastore": "workspaceblobstore",
        "match": "landing/**",
        "input": "file",
        "endpoint": "classifier",
        "output": "scored/{route}/{date}/{stem}-{key}/predictions.csv",
        "max_active": "unlimited",
    }
    return Route(**{**dull, **fields})


def folder_route(**fields: Any) -> Route:
    """Return a route that scores each folder below `landing/` once its marker lies beside it."""
    dull = {
        "name": "folders",
        "match": "landing/{batch}/*.png",
        "input": "folder",
        "ready": Ready(marker="landing/{batch}.done"),
        "output": "scored/{batch}-{key}/predictions.csv",
    }
    return route(**{**dull, **fields})


def quiet_route(**fields: Any) -> Route:
    """Return a route that scores each folder below `landing/` once it was quiet for 5 minutes."""
    ready = Ready(quiet=timedelta(minutes=5), at_most=timedelta(hours=1))
    return folder_route(**{"ready": ready, **fields})


DIGITS = folder_route(
    name="digits",
    match="landing/digits/{batch}/*.png",
    ready=Ready(marker="landing/digits/{batch}.done"),
    output="scored/digits/{batch}-{key}/predictions.csv",
)


def place(**fields: Any) -> ContainerRef:
    """Return where the datastore of `route` is."""
    dull = {
        "account": "landingzone",
        "account_url": "https://landingzone.blob.core.windows.net",
        "container": "c",
    }
    return ContainerRef(**{**dull, **fields})


def job(
    path: str = "landing/a.csv",
    *,
    of: Route | None = None,
    landed: Landing | None = None,
    **fields: Any,
) -> Job:
    """Return the job that a route makes of the landing of `path`; a folder's is its marker's."""
    of, landed = of or route(), landed or landing(path)
    assert of.triggered_by(landed.path) is not None, f"{of.trigger} does not take {landed.path}"
    made = job_for(of, landed, place(), "literal")
    return msgspec.structs.replace(made, **fields)


def folder_job(path: str = "landing/b1.done", **fields: Any) -> Job:
    """Return the job that `folder_route` makes of the landing of a marker."""
    return job(path, of=fields.pop("of", folder_route()), **fields)


def progress(state: State = State.SUBMITTED, **fields: Any) -> Progress:
    """Return how far a job is: submitted at `NOW`, unless the fields say otherwise."""
    dull: dict[str, Any] = {"nonce": "n1", "route": "files", "endpoint": "classifier"}
    if state is State.SUBMITTED:
        dull |= {"submitted": NOW, "batch_job": "batchjob-1"}
    return Progress(state=state, **{**dull, **fields})


def open_job(state: State = State.SUBMITTED, *, changed: datetime = NOW, **fields: Any) -> OpenJob:
    """Return an entry of the ledger; the fields are those of its progress."""
    key = fields.pop("key", "0123456789abcdef01234567")
    return OpenJob(key=key, progress=progress(state, **fields), version="0x2", changed=changed)


def batch_job(state: JobState = JobState.OPEN, **fields: Any) -> BatchJob:
    """Return what the endpoint says of a batch job."""
    return BatchJob(state=state, **{"name": "batchjob-1", **fields})


def blob(path: str = "landing/a.csv", **fields: Any) -> Blob:
    """Return the properties of the blob that `landing` tells of."""
    dull = {"etag": "0x1", "size": 10, "modified": NOW}
    return Blob(path=path, **{**dull, **fields})
