"""Records that bring every field of the ledger's documents, and every state and end of a job."""

from datetime import timedelta
from typing import Any

from scoring.jobs.folders import gathered
from scoring.jobs.job import Folder, Job, again
from scoring.jobs.marks import PollMark, SweepMark
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import BY_OPERATOR, Progress, State, first_progress
from tests import factories
from tests.factories import (
    NOW,
    batch_job,
    blob,
    folder_job,
    folder_route,
    place,
    quiet_route,
    route,
)

MINUTE = timedelta(minutes=1)

EVERY_FIELD = route(
    name="every-field",
    deployment="blue",
    uri="https://landingzone.blob.core.windows.net/{container}/{path}",
    queue_timeout=2 * MINUTE,
    run_timeout=timedelta(hours=3),
    max_attempts=2,
    max_active=4,
    enabled=False,
    since=NOW,
    on_unknown="hold",
    on_overwrite="ignore",
    on_empty="score",
    receipt=True,
    instance_count=2,
    mini_batch_size=3,
    error_threshold=-1,
    max_retries=4,
    timeout=90 * MINUTE,
    input_name="data",
    output_name="scores",
    params={"threshold": 0.5, "rows": 3, "mode": "ü", "dry": True},
)
MARKED = folder_job(of=folder_route(minimum_gap=20 * MINUTE, output_kind="folder"))
QUIET = Folder(
    route=quiet_route(name="quiet", late="ignore", output="", output_kind="none"),
    place=place(),
    path="landing/b2",
)
POLL_MARK = PollMark(
    heartbeat=NOW, finished=NOW - 2 * MINUTE, began=NOW - MINUTE, cursor="0123456789abcdef01234567"
)
SWEEP_MARK = SweepMark(watermark=NOW, place="landing/ü b.csv", oldest_left=NOW - 10 * MINUTE)


def _file(name: str, **fields: Any) -> Job:
    return factories.job(f"landing/{name}.csv", of=route(**fields))


def _quiet(*, late: bool) -> Job:
    files = [blob("landing/b2/1.png"), blob("landing/b2/2.png", etag="0x2", size=20)]
    return gathered(QUIET, files, "literal", emptied=NOW, late=late)


def _first(job: Job, state: State = State.PENDING) -> Progress:
    return first_progress(job, state, "nonce-1")


def _submitted(job: Job, state: State = State.SUBMITTED, **fields: Any) -> Progress:
    answer = {"submitted": NOW, "batch_job": "batchjob-1", "deployment": "blue"}
    return _first(job).to(state, **{**answer, **fields})


def entries() -> dict[str, tuple[Job, Progress]]:
    """Return open jobs."""
    every = factories.job("landing/every.csv", of=EVERY_FIELD)
    jobs = {
        "claimed-file": (file := _file("ü b"), _first(file, State.SUBMITTING)),
        "claimed-marker": (MARKED, _first(MARKED)),
        "claimed-late": (late := _quiet(late=True), _first(late)),
        "claimed-again": (twice := again(_file("a"), "request"), _first(twice)),
        "claimed-with-every-field": (every, _first(every)),
    }
    refusals: dict[str, Any] = {"refused_since": NOW, "not_before": NOW + MINUTE}
    files: dict[str, Any] = {"folder_digest": "0123456789abcdef01234567", "files": 2, "size": 30}
    seen: dict[str, Any] = {
        "etag": "0x3",
        "size": 11,
        "correlation": '{"landfall_order": "47\\u00fc"}',
    }
    looks: dict[str, Any] = {"held_since": NOW, "look_refused": NOW + MINUTE}
    cancel: dict[str, Any] = {"running": NOW, "cancel_asked": NOW, "cancel_code": BY_OPERATOR}
    lost = _submitted(_file("lost"), State.UNKNOWN).next_attempt(lost=True).next_attempt(lost=True)
    return jobs | {
        "refused": (job := _file("refused"), _first(job).to(State.PENDING, **refusals)),
        "refused-look": (job := _file("look"), _first(job).to(State.PENDING, **looks)),
        "submitted-quiet": (job := _quiet(late=False), _submitted(job, **files)),
        "running": (job := _file("running"), _submitted(job, running=NOW + MINUTE, **seen)),
        "canceled": (job := _file("canceled"), _submitted(job, **cancel)),
        "gone": (job := _file("gone"), _submitted(job, gone_since=NOW + MINUTE)),
        "unknown": (job := _file("unknown"), _first(job).to(State.UNKNOWN, submitted=NOW)),
        "lost-twice": (_file("lost"), lost),
        "ended": (job := _file("ended"), _submitted(job, State.ENDED, rest={"later": "kept"})),
    }


def ends() -> dict[Status, tuple[Job, Progress, Outcome]]:
    """Return jobs that have ended, one in each way."""
    ran = batch_job(studio="https://ml.azure.com/runs/batchjob-1")
    outcomes = [
        Outcome(status=Status.COMPLETED, batch_job=ran, output=blob("p.csv", etag="0x4")),
        Outcome(status=Status.CANCELED, code=BY_OPERATOR, batch_job=ran),
        Outcome(status=Status.TIMED_OUT, code="run-timeout", batch_job=ran),
        Outcome(status=Status.REJECTED, code="empty"),
        Outcome(status=Status.SUPERSEDED, code="overwritten", message="0x2"),
    ]
    failed = Outcome(status=Status.FAILED, code="batch-job-failed", message="ü", batch_job=ran)
    found: dict[Status, tuple[Job, Progress, Outcome]] = {
        Status.FAILED: (MARKED, _submitted(MARKED, attempt=2, files=2, size=30), failed)
    }
    for outcome in outcomes:
        job = _file(outcome.status)
        submitted = _submitted(job, correlation='{"landfall_order": "4711"}')
        found[outcome.status] = job, submitted if outcome.batch_job else _first(job), outcome
    return found
