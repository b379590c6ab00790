"""What is known about one job, and its history."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from scoring.cli.failures import Refused
from scoring.errors import LandfallError
from scoring.jobs.batch_job import BatchJob
from scoring.jobs.job import Job
from scoring.jobs.progress import OpenJob
from scoring.ports import Services
from scoring.uris import path_in_subject

Steps = list[tuple[datetime, str]]


@dataclass(frozen=True, kw_only=True)
class History:
    """What `ledger show` prints."""

    facts: dict[str, str | int]
    steps: Steps  # in the order of their times
    document: Any  # the ledger's entry, or the completion event


async def history(services: Services, key: str) -> History:
    """Return what is known about a job.

    Raises:
        Refused: the ledger has no such job.
    """
    event = await services.ledger.end(key)
    if event is not None:
        return _of_end(msgspec.json.decode(event))
    entry = (await services.ledger.open_jobs()).of(key)
    job = await services.ledger.job(key)
    if entry is None or job is None:
        raise Refused(f"the ledger has no job {key}")
    return _of_open(entry, job, await _batch_job(services, entry))


async def _batch_job(services: Services, entry: OpenJob) -> BatchJob | str:
    """Return the job's batch job; if the endpoint does not return it, why."""
    name = entry.progress.batch_job
    if not name:
        return "none yet"
    try:
        endpoint = await services.workspace.endpoint(entry.progress.endpoint)
        known = endpoint and await services.endpoints.batch_job(endpoint, name)
    except LandfallError as failure:
        return f"{name} ({failure})"
    return known or f"{name} (not known to the endpoint)"


def _of_open(entry: OpenJob, job: Job, batch_job: BatchJob | str) -> History:
    progress = entry.progress
    known = batch_job if isinstance(batch_job, BatchJob) else None
    facts = _facts(
        job=job.key,
        state=progress.state.value,
        route=job.route.name,
        path=job.path,
        input=job.input_uri,
        output=job.output_uri(progress.attempt),
        endpoint=progress.endpoint,
        deployment=progress.deployment,
        attempt=progress.attempt,
        lost=progress.lost,
        batch_job=f"{known.name} ({known.state.value})" if known else str(batch_job),
        studio=known.studio if known else None,
        again_of=job.again_of,
    )
    moments = (
        (job.landing.landed, "landed"),
        (progress.submitted, f"attempt {progress.attempt} submitted"),
        (progress.refused_since, "refused for the first time"),
        (progress.running, "seen running"),
        (progress.gone_since, "no longer known to the endpoint"),
        (progress.cancel_asked, f"cancel requested: {progress.cancel_code}"),
        (entry.changed, f"{progress.state} since then"),
        (progress.not_before, "not tried again before"),
    )
    steps = sorted((moment, what) for moment, what in moments if moment)
    document = {"job": msgspec.to_builtins(job), "progress": msgspec.to_builtins(progress)}
    return History(facts=facts, steps=steps, document=document)


def _of_end(event: Any) -> History:
    data = event["data"]
    reason = data["reason"] or {}
    facts = _facts(
        job=data["job"],
        state=data["status"],
        reason=": ".join(filter(None, [reason.get("code"), reason.get("message")])),
        route=data["route"],
        path=path_in_subject(event["subject"]),
        input=data["input"]["uri"],
        output=(data["output"] or {}).get("uri"),
        endpoint=data["endpoint"],
        deployment=data["deployment"],
        attempt=data["attempt"],
        batch_job=data["batchJob"],
        studio=data["studio"],
    )
    moments = ((name, data["times"][name]) for name in ("landed", "submitted", "ended"))
    steps = [(datetime.fromisoformat(moment), name) for name, moment in moments if moment]
    return History(facts=facts, steps=steps, document=event)


def _facts(**facts: str | int | None) -> dict[str, str | int]:
    return {name: value for name, value in facts.items() if value not in (None, "")}
