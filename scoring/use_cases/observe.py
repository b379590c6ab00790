"""Looking at inputs and outputs, and what is kept of what was seen."""

import asyncio

import msgspec

from scoring.events.correlation import correlation
from scoring.jobs.blobs import Blob, Forbidden, Seen, folder_digest
from scoring.jobs.job import Job
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import OpenJob
from scoring.log import Action, warning
from scoring.ports import Services


async def look_at_input(services: Services, job: Job) -> Seen:
    """Look at what lies where a job's input should be."""
    if job.route.gathers:
        return Seen(files=await services.storage.folder(job.place, job.path))
    trigger = services.storage.blob(job.place, job.landing.path)
    if job.route.input == "file":
        return Seen(trigger=await trigger)
    blob, files = await asyncio.gather(trigger, services.storage.folder(job.place, job.path))
    return Seen(trigger=blob, files=files)


def with_correlation(services: Services, opened: OpenJob, job: Job, seen: Seen) -> OpenJob:
    """Keep the landed blob's metadata for the event, if the version that is scored was seen."""
    blob, version = seen.trigger, opened.progress.etag or job.landing.etag
    if not isinstance(blob, Blob) or blob.etag != version:
        return opened
    text, left_out = correlation(blob.metadata, services.metadata_prefix)
    if left_out:
        warning(Action.METADATA_CUT, job=job.key, path=blob.path, names=",".join(left_out))
    progress = msgspec.structs.replace(opened.progress, correlation=text)
    return msgspec.structs.replace(opened, progress=progress)


async def look_at_output(
    services: Services, opened: OpenJob, job: Job, outcome: Outcome
) -> Blob | Forbidden | None:
    """Look at what a completed attempt left."""
    if outcome.status is not Status.COMPLETED:
        return None
    return await look_where_output_goes(services, job, opened.progress.attempt)


async def look_where_output_goes(
    services: Services, job: Job, attempt: int
) -> Blob | Forbidden | None:
    """Look at what lies where an attempt's output goes; in an output folder at its newest file."""
    if job.route.output_kind == "none":
        return None
    folder = job.route.output_kind == "folder"
    look = services.storage.newest if folder else services.storage.blob
    return await look(job.place, job.output_path(attempt))


def with_version_seen(services: Services, opened: OpenJob, job: Job, seen: Seen) -> OpenJob:
    """Write down which version of a file or marker is scored, or not, and its metadata."""
    if job.route.on_overwrite == "ignore" and isinstance(seen.trigger, Blob):
        progress = msgspec.structs.replace(opened.progress, etag=seen.trigger.etag)
        if job.route.input == "file":
            progress = msgspec.structs.replace(progress, size=seen.trigger.size)
        opened = msgspec.structs.replace(opened, progress=progress)
    return with_correlation(services, opened, job, seen)


def with_files_seen(opened: OpenJob, job: Job, seen: Seen) -> OpenJob:
    """Write down what a folder holds when it is submitted."""
    if job.route.input == "file" or isinstance(seen.files, Forbidden):
        return opened
    version = folder_digest(seen.files)
    progress = msgspec.structs.replace(
        opened.progress,
        folder_digest=version,
        etag=version if job.route.gathers else opened.progress.etag,
        files=len(seen.files),
        size=sum(file.size for file in seen.files),
    )
    return msgspec.structs.replace(opened, progress=progress)
