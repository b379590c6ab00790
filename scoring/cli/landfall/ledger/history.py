"""One job with all that is known of it, and when what happened."""

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
    """What `ledger show` tells."""

    facts: dict[str, str | int]
    steps: Steps  # in the order of their times
    document: Any  # the ledger's entry, or the completion event


async def history(services: Services, key: str) -> History:
    """Return all that is known of a job.

    Raises:
        Refused: the ledger does not know it.
    """
    event = await services.ledger.end(key)
    if event is not None:
        return _of_end(msgspec.json.decode(event))
    opened = (await services.ledger.open_jobs()).of(key)
    job = await services.ledger.job(key)
    if opened is None or job is None:
        raise Refused(f"the ledger knows no job {key}")
    return _of_open(opened, job, await _batch_job(services, opened))


async def _batch_job(services: Services, opened: OpenJob) -> BatchJob | str:
    """Return what the endpoint says of the job's batch job, or why it says nothing."""
    if not opened.progress.batch_job:
        return "none yet"
    try:
        endpoint = await services.workspace.endpoint(opened.progress.endpoint)
        known = endpoint and await services.endpoints.batch_job(endpoint, opened.progress.batch_job)
    except LandfallError as failure:
        return f"{opened.progress.batch_job} ({failure})"
    return known or f"{opened.progress.batch_job} (not known to the endpoint)"


def _of_open(opened: OpenJob, job: Job, batch_job: BatchJob | str) -> History:
    progress = opened.progress
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
        (progress.gone_since, "not known to the endpoint any more"),
        (progress.cancel_asked, f"cancel asked for: {progress.cancel_code}"),
        (opened.changed, f"{progress.state} since then"),
        (progress.not_before, "tried again then, not before"),
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
