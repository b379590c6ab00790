"""Looking at inputs and outputs, and what an entry keeps of what was seen."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TypeVar

from scoring.concurrency import time_limit
from scoring.errors import Refused
from scoring.events.correlation import correlation
from scoring.jobs.blobs import Blob, Forbidden, Seen, Unreadable, folder_digest
from scoring.jobs.job import Job
from scoring.jobs.progress import OpenJob
from scoring.log import Action, warning
from scoring.ports import LandingStorage
from scoring.timing import Timing

T = TypeVar("T")


async def look_at_input(storage: LandingStorage, job: Job, timing: Timing) -> Seen:
    """Look at what lies where a job's input should be.

    Raises:
        Unavailable, SetupError: it cannot be looked at, or not in time.
    """
    if job.route.gathers:
        return Seen(files=await _listed(storage, job, timing))
    trigger = _in_time(storage.blob(job.place, job.landing.path), timing.look)
    try:
        if job.route.input == "file":
            return Seen(trigger=await trigger)
        blob, files = await asyncio.gather(trigger, _listed(storage, job, timing))
    except Refused as refusal:
        return Seen(trigger=Unreadable(message=f"{refusal.code}: {refusal}"))
    return Seen(trigger=blob, files=files)


async def look_at_output(
    storage: LandingStorage, job: Job, attempt: int, timing: Timing
) -> Blob | Forbidden | Unreadable | None:
    """Look at what lies where an attempt's output goes; in an output folder at its newest file.

    Raises:
        Unavailable, SetupError: it cannot be looked at, or not in time.
    """
    if job.route.output_kind == "none":
        return None
    path = job.output_path(attempt)
    try:
        if job.route.output_kind == "folder":
            return await _in_time(storage.newest(job.place, path), timing.look_at_folder)
        return await _in_time(storage.blob(job.place, path), timing.look)
    except Refused as refusal:
        return Unreadable(message=f"{refusal.code}: {refusal}")


async def _listed(storage: LandingStorage, job: Job, timing: Timing) -> list[Blob] | Forbidden:
    return await _in_time(storage.folder(job.place, job.path), timing.look_at_folder)


async def _in_time(look: Awaitable[T], limit: timedelta) -> T:
    async with time_limit(limit, "a look at the landing storage"):
        return await look


def with_version_seen(entry: OpenJob, job: Job, seen: Seen, metadata_prefix: str) -> OpenJob:
    """Keep which version of a file or marker is scored, or not, and what is known of it."""
    if job.route.on_overwrite == "ignore" and isinstance(seen.trigger, Blob):
        entry = entry.updated(etag=seen.trigger.etag)
    return with_correlation(entry, job, seen, metadata_prefix)


def with_correlation(entry: OpenJob, job: Job, seen: Seen, metadata_prefix: str) -> OpenJob:
    """Keep metadata and size for the event, if the version that is scored was seen.

    The size that its storage event said may be wrong.
    """
    blob, version = seen.trigger, entry.progress.etag or job.landing.etag
    if not isinstance(blob, Blob) or blob.etag != version:
        return entry
    text, left_out = correlation(blob.metadata, metadata_prefix)
    if left_out:
        warning(Action.METADATA_CUT, job=job.key, path=blob.path, names=",".join(left_out))
    entry = entry.updated(correlation=text)
    return entry.updated(size=blob.size) if job.route.input == "file" else entry


def with_files_seen(entry: OpenJob, job: Job, seen: Seen) -> OpenJob:
    """Keep what a folder holds when it is submitted."""
    if job.route.input == "file" or isinstance(seen.files, Forbidden):
        return entry
    version = folder_digest(seen.files)
    return entry.updated(
        folder_digest=version,
        etag=version if job.route.gathers else entry.progress.etag,
        files=len(seen.files),
        size=sum(file.size for file in seen.files),
    )
