"""Batch endpoints that ignore every idempotency hint, and whose batch jobs do what they like."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from scoring.errors import Unavailable
from scoring.jobs.batch_job import (
    Accepted,
    Answer,
    BatchEndpoint,
    BatchJob,
    ErrorAnswer,
    JobState,
    NotSent,
    Submission,
    Unclear,
)

if TYPE_CHECKING:
    from tests.simulation.world import World

HOUR = 3600.0
_NEVER = float("inf")
REFUSALS = (400, 401, 403, 404, 413, 422)
UNCLEAR = (408, 409, 500, 502, 503, 504)

LEAVES: Literal["leaves"] = "leaves"  # its endpoint does not know it any more
UNFIT = "the deployment failed to provision"
# Seconds, then the state; None: it disappears.
Life = Iterator[tuple[float, JobState | Literal["leaves"] | None]]


class Record(msgspec.Struct, kw_only=True):
    """What Azure ML knows of a batch job."""

    job: BatchJob
    endpoint: str
    submission: Submission
    created: float
    listed_from: float
    cancel_asked: bool = False
    left: bool = False  # its endpoint does not know it any more, the workspace does


class SimEndpoints:
    """The data plane and the control plane's cancel."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._names = itertools.count(1)
        self.records: dict[str, Record] = {}
        self.gone: list[Record] = []
        self.posts: list[tuple[float, Submission, Answer]] = []
        # Some runs have an endpoint whose listing is refused, whatever happens.
        refuses = world.faults.happens("listing: refused for good", 0.1)
        self._unlisted = self._uri(world.chance.choice(("classifier", "other"))) if refuses else ""
        self.not_told = False  # a host could not ask whether a deployment can run
        self._broken_until: dict[str, float] = {}
        if world.faults.happens("workspace: a deployment that cannot run", 0.15):
            lasts = world.chance.choice((10 * 60.0, HOUR, 6 * HOUR))
            self._broken_until[world.chance.choice(("classifier", "other"))] = lasts

    def cannot_run(self, endpoint: str) -> bool:
        """Tell whether an endpoint's deployment has failed and was not deployed again yet."""
        world = self._world
        return not world.faults.over and world.loop.time() < self._broken_until.get(endpoint, 0.0)

    def _uri(self, name: str) -> str:
        return f"https://{name}.ml.azure.com/jobs"

    async def endpoint(self, name: str) -> BatchEndpoint | None:
        return BatchEndpoint(scoring_uri=self._uri(name), default_deployment="default")

    async def submit(self, endpoint: BatchEndpoint, submission: Submission) -> Answer:
        fate = self._world.faults.of_post()
        answer = self._answer(endpoint, submission, fate)
        now = self._world.loop.time()
        self.posts.append((now, submission, answer))
        self._world.promises.submitted(now, submission)
        return answer

    def _answer(self, endpoint: BatchEndpoint, submission: Submission, fate: str) -> Answer:
        chance = self._world.chance
        if any(
            self.cannot_run(name)
            for name in self._broken_until
            if endpoint.scoring_uri == self._uri(name)
        ):
            return ErrorAnswer(status=400, message=UNFIT)
        if fate == "refused":
            return ErrorAnswer(status=chance.choice(REFUSALS), message="sig=SECRET no")
        if fate == "throttled":
            return ErrorAnswer(status=429, message="slow", retry_after=chance.uniform(0, 900))
        if fate == "not-sent":
            return NotSent(message="no connection")
        if fate == "error-before":
            return ErrorAnswer(status=chance.choice(UNCLEAR), message="", retry_after=5)
        accepted = self._create(endpoint, submission)
        if fate == "twice":
            self._create(endpoint, submission)
        if fate == "error-after":
            return ErrorAnswer(status=chance.choice(UNCLEAR), message="", retry_after=5)
        if fate == "nameless":
            return Unclear(message="200 without a usable name")
        return accepted

    async def batch_job(self, endpoint: BatchEndpoint, name: str) -> BatchJob | None:
        record = self.records.get(name)
        return record.job if record and not record.left else None

    def in_workspace(self, name: str) -> BatchJob | None:
        """Return what ARM says of a batch job, also of one that its endpoint does not know."""
        record = self.records.get(name)
        return record.job if record else None

    async def batch_jobs(self, endpoint: BatchEndpoint) -> list[BatchJob]:
        now = self._world.loop.time()
        if endpoint.scoring_uri == self._unlisted:
            raise Unavailable("400: this listing is refused")
        return [
            record.job
            for record in self.records.values()
            if record.endpoint == endpoint.scoring_uri
            and record.listed_from <= now
            and not record.left
        ]

    async def cancel(self, name: str) -> None:
        record = self.records.get(name)
        if record is None or record.job.state.ended:
            return
        record.cancel_asked = True
        chance = self._world.chance
        life = self._world.faults.of_cancel()
        self._turn(name, JobState.CANCELING)
        if life == "cancels":
            self._later(chance.uniform(1, 600), name, JobState.CANCELED)
        elif life == "completes":
            self._later(chance.uniform(1, 600), name, JobState.COMPLETED)

    def unfinished(self) -> list[Record]:
        """Return the batch jobs that have not ended, those that are gone left out."""
        return [record for record in self.records.values() if not record.job.state.ended]

    def _create(self, endpoint: BatchEndpoint, submission: Submission) -> Accepted:
        world, name = self._world, f"batchjob-{next(self._names)}"
        self.records[name] = Record(
            job=BatchJob(
                name=name,
                state=JobState.OPEN,
                outputs=(submission.output_uri,) if submission.output_uri else (),
                marks=(submission.tag,),
            ),
            endpoint=endpoint.scoring_uri,
            submission=submission,
            created=world.loop.time(),
            listed_from=world.loop.time() + world.faults.listing_lag(),
        )
        world.promises.batch_job_created(self.records[name])
        self._live(
            name, self._life(world.faults.of_batch_job(), slow="other" in endpoint.scoring_uri)
        )
        return Accepted(batch_job=name)

    def _life(self, fate: str, *, slow: bool) -> Life:
        draw = self._world.chance.uniform
        if fate == "stays-queued":
            return
        longest = self._longest(slow=slow)
        yield draw(0, longest / 3), JobState.RUNNING
        if fate == "stays-running":
            return
        if fate == "not-responding":
            yield draw(0, 300), JobState.OPEN
            yield draw(0, 2 * HOUR), JobState.RUNNING
        if fate == "disappears":
            yield draw(0, 600), None
            return
        if fate == "leaves-endpoint":
            yield draw(0, 600), LEAVES
        yield draw(0, longest), JobState.FAILED if fate == "fails" else JobState.COMPLETED

    def _longest(self, *, slow: bool) -> float:
        """Return how long a batch job runs at the most, in seconds."""
        if self._world.races:
            return self._world.slowest
        return 400 if slow else self._world.chance.choice((30, 30, 900))

    def _live(self, name: str, life: Life) -> None:
        following = next(life, None)
        if following is not None:
            delay, state = following
            self._world.loop.call_later(delay, self._step, name, state, life)

    def _step(self, name: str, state: JobState | Literal["leaves"] | None, life: Life) -> None:
        record = self.records.get(name)
        if record is None or record.job.state.ended or record.cancel_asked:
            return
        if state == "leaves":
            record.left = True
        elif state is None:
            self.gone.append(self.records.pop(name))
            return
        else:
            self._turn(name, state)
        self._live(name, life)

    def _later(self, delay: float, name: str, state: JobState) -> None:
        self._world.loop.call_later(delay, self._turn, name, state)

    def _turn(self, name: str, state: JobState) -> None:
        record = self.records.get(name)
        if record is None or record.job.state.ended:
            return
        path = record.submission.output_uri.partition("/paths/")[2]
        if state is JobState.COMPLETED and path in self._world.storage.blobs:
            state = JobState.FAILED  # what another batch job of the attempt wrote is in its way
        record.job = msgspec.structs.replace(record.job, state=state)
        self._world.note("azureml", f"{name} {state.name}")
        if state is JobState.COMPLETED and path and self._world.faults.writes_output():
            self._world.storage.put(path)
