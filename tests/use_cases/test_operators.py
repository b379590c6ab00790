"""What operators do by hand, beside a service that goes on working."""

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest

from scoring.cli.failures import Refused
from scoring.cli.landfall.ledger import operators
from scoring.cli.landfall.ledger.replay import Replay, Replayed
from scoring.errors import Unavailable, UnreadableMessage
from scoring.events.dead_letters import DeadLetterKind
from scoring.jobs.batch_job import BatchEndpoint, BatchJob, ErrorAnswer, JobState, Unclear
from scoring.jobs.job import attempt_tag
from scoring.jobs.progress import State
from scoring.routes.route import Route
from scoring.use_cases import on_landing, on_poison
from tests.factories import created, quiet_route, route
from tests.fakes import Stalled, World

FILE = "landing/a.csv"
UNCLEAR = Unclear(message="no answer")


async def replayed(
    world: World, path: str = FILE, *, request: str | None = None, dry_run: bool = False
) -> list[Replayed]:
    worker = Replay(world.services, request=request, dry_run=dry_run)
    (first,) = world.services.routes
    return [one async for one in worker.below(first, path, None, None)]


async def completed(world: World) -> None:
    for batch_job in world.endpoints.jobs:
        world.complete(batch_job)
    await world.ticks(timedelta(minutes=2))


def key(world: World) -> str:
    (only,) = world.ledger.open
    return only


# --- replay -------------------------------------------------------------------------------------


async def test_a_file_that_nobody_claimed_is_scored_as_if_it_had_just_landed() -> None:
    world = World(route())
    world.storage.put(FILE)
    (one,) = await replayed(world)
    assert one.what == "claimed"
    await world.tick()
    await completed(world)
    assert [event["id"] for event in world.publisher.events] == [one.job]


async def test_what_is_open_or_has_ended_is_left_alone() -> None:
    world = World(route())
    await world.land(FILE)
    assert [one.what for one in await replayed(world)] == ["open"]
    assert [one.what for one in await replayed(world, request="r")] == ["open"]
    await completed(world)
    assert [one.what for one in await replayed(world)] == ["ended"]
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_what_has_ended_is_scored_again_by_a_job_of_its_own_once_for_each_request() -> None:
    world = World(route())
    await world.land(FILE)
    await completed(world)
    first = world.publisher.events[0]["id"]
    (one,) = await replayed(world, request="r")
    (two,) = await replayed(world, request="r")
    assert (one.what, two.what, one.job) == ("again", "asked-before", two.job)
    await world.tick()
    await completed(world)
    assert [one.what for one in await replayed(world, request="r")] == ["asked-before"]
    (another,) = await replayed(world, request="other")
    assert len({first, one.job, another.job}) == 3
    await world.tick()
    outputs = [submission.output_uri for submission in world.endpoints.submissions]
    assert len(outputs) == len(set(outputs)) == 3


async def test_what_the_ledger_may_have_forgotten_is_not_taken_for_new() -> None:
    world = World(route())
    world.storage.put(FILE)
    world.clock.pass_(world.services.timing.retention)
    assert [one.what for one in await replayed(world)] == ["ended"]
    assert [one.what for one in await replayed(world, request="r")] == ["again"]


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_a_request_that_the_ledger_forgot_is_known_by_its_output(kind: str) -> None:
    output = "scored/{key}/predictions.csv" if kind == "file" else "scored/{key}"
    world = World(route(output=output, output_kind=kind))
    await world.land(FILE)
    await completed(world)
    (one,) = await replayed(world, request="r")
    await world.tick()
    world.storage.put(f"scored/{one.job}/predictions.csv")
    await completed(world)
    world.clock.pass_(world.services.timing.retention)
    world.ledger.done.clear()  # as the lifecycle rule does
    assert [one.what for one in await replayed(world, request="r")] == ["asked-before"]
    assert [one.what for one in await replayed(world, request="other")] == ["again"]


async def test_a_dry_run_changes_nothing() -> None:
    world = World(route())
    world.storage.put(FILE)
    assert [one.what for one in await replayed(world, dry_run=True)] == ["claimed"]
    await world.land("landing/b.csv")
    await completed(world)
    again = await replayed(world, "landing/b", request="r", dry_run=True)
    assert [one.what for one in again] == ["again"]
    assert (world.ledger.open, len(world.ledger.done)) == ({}, 1)


@pytest.mark.parametrize("late", ["score", "ignore"])
async def test_a_folder_is_scored_again_whole(late: str) -> None:
    world = World(quiet_route(late=late))
    await world.land("landing/b1/1.png")
    await world.ticks(timedelta(minutes=20), timedelta(minutes=1))
    await completed(world)
    assert [one.what for one in await replayed(world, "landing/b1")] == ["ended"]
    (one,) = await replayed(world, "landing/b1", request="r")
    assert (one.what, one.path) == ("again", "landing/b1")
    await world.tick()
    await completed(world)
    assert [event["data"]["status"] for event in world.publisher.events] == ["completed"] * 2
    assert world.publisher.events[1]["id"] == one.job


async def test_a_folder_whose_events_were_lost_fills() -> None:
    world = World(quiet_route())
    world.storage.put("landing/b1/1.png")
    world.storage.put("landing/b1/2.png")
    assert [one.what for one in await replayed(world, "landing/b1")] == ["filling"]
    await world.ticks(timedelta(minutes=20), timedelta(minutes=1))
    assert len(world.endpoints.submissions) == 1


@pytest.mark.parametrize(
    ("of", "size"),
    [(route(), 0), (route(on_overwrite="ignore"), 0), (route(on_overwrite="ignore"), 5)],
)
async def test_a_file_that_may_still_be_written_is_left_to_its_event(of: Route, size: int) -> None:
    world = World(of)
    world.storage.put(FILE, size=size)
    assert [one.what for one in await replayed(world)] == ["young"]
    assert [one.what for one in await replayed(world, request="r")] == ["young"]
    await world.tick()
    await world.land(FILE)
    await completed(world)
    assert world.publisher.ends == [("completed", None)]


# --- settle -------------------------------------------------------------------------------------


async def unknown(*, hold: bool = False, **fields: object) -> World:
    world = World(route(on_unknown="hold" if hold else "retry", **fields))
    world.endpoints.answers = [UNCLEAR]
    await world.land(FILE)
    assert world.progress.state is State.UNKNOWN
    return world


async def test_a_batch_job_is_adopted_by_hand() -> None:
    world = await unknown()
    world.endpoints.jobs["found"] = BatchJob(name="found", state=JobState.RUNNING)
    await operators.adopt(world.services, key(world), "found", dry_run=True)
    assert world.progress.state is State.UNKNOWN
    await operators.adopt(world.services, key(world), "found", dry_run=False)
    assert (world.progress.state, world.progress.batch_job) == (State.SUBMITTED, "found")


@pytest.mark.parametrize("failure", [None, Unavailable("no listing")])
async def test_what_else_runs_for_an_adopted_attempt_is_canceled(
    failure: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await unknown()
    tag = attempt_tag(key(world), 1)
    for name in ("one", "two", "three"):
        world.endpoints.jobs[name] = BatchJob(name=name, state=JobState.RUNNING, marks=(tag,))
    world.endpoints.turn("three", JobState.FAILED)

    async def listing(_: BatchEndpoint) -> list[BatchJob]:
        if failure:
            raise failure
        return list(world.endpoints.jobs.values())

    monkeypatch.setattr(world.endpoints, "batch_jobs", listing)
    await operators.adopt(world.services, key(world), "one", dry_run=False)
    assert world.progress.batch_job == "one"
    assert world.workspace.canceled == ([] if failure else ["two"])


async def test_nothing_is_adopted_that_is_not_there_or_is_of_another_attempt() -> None:
    world = await unknown()
    with pytest.raises(Refused, match="has no batch job 'nowhere'"):
        await operators.adopt(world.services, key(world), "nowhere", dry_run=False)
    other = attempt_tag("ffff", 1)
    world.endpoints.jobs["other"] = BatchJob(name="other", state=JobState.OPEN, marks=(other,))
    with pytest.raises(Refused, match=f"does not belong to this attempt.*{other}"):
        await operators.adopt(world.services, key(world), "other", dry_run=False)
    assert world.progress.state is State.UNKNOWN


async def test_what_is_declared_lost_is_submitted_as_another_attempt() -> None:
    world = await unknown(hold=True)
    follows = await operators.declare_lost(world.services, key(world), dry_run=False)
    assert follows == "the next attempt is 2"
    assert (world.progress.state, world.progress.lost) == (State.PENDING, "1")
    await world.tick()
    await completed(world)
    assert world.publisher.ends == [("completed", None)]


async def test_the_third_lost_attempt_ends_the_job() -> None:
    world = await unknown(hold=True)
    for _ in range(2):
        await operators.declare_lost(world.services, key(world), dry_run=False)
        world.endpoints.answers = [UNCLEAR]
        await world.tick()
    follows = await operators.declare_lost(world.services, key(world), dry_run=False)
    assert follows == "the job ends: failed"
    assert world.publisher.ends == [("failed", "outcome-unknown")]


async def test_nothing_is_declared_lost_whose_batch_job_is_there() -> None:
    world = await unknown()
    tag = attempt_tag(key(world), 1)
    world.endpoints.jobs["it"] = BatchJob(name="it", state=JobState.OPEN, marks=(tag,))
    with pytest.raises(Refused, match="--adopt it"):
        await operators.declare_lost(world.services, key(world), dry_run=False)


async def test_only_what_is_unknown_is_settled() -> None:
    world = World(route())
    await world.land(FILE)
    with pytest.raises(Refused, match="is submitted, not unknown"):
        await operators.declare_lost(world.services, key(world), dry_run=False)
    with pytest.raises(Refused, match="has no job nope"):
        await operators.declare_lost(world.services, "nope", dry_run=False)


# --- cancel -------------------------------------------------------------------------------------

WAITING = route(max_active=1, enabled=False)


async def test_what_waits_ends_at_once_and_is_never_submitted() -> None:
    world = World(WAITING)
    await world.land(FILE)
    assert "canceled" in await operators.cancel(world.services, key(world), dry_run=False)
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]
    await world.ticks(timedelta(hours=1), timedelta(minutes=1))
    assert (world.endpoints.submissions, world.ledger.open) == ([], {})


@pytest.mark.parametrize("on_unknown", ["resubmit", "hold"])
async def test_an_operator_who_dies_half_way_leaves_a_job_that_is_canceled_all_the_same(
    on_unknown: str,
) -> None:
    world = World(route(max_active=1, on_unknown=on_unknown))
    await world.land(FILE)
    dying = Stalled(world.ledger, "conclude")
    step = asyncio.create_task(operators.cancel(world.services, key(world), dry_run=False))
    await dying.reached.wait()
    step.cancel()
    await world.ticks(timedelta(hours=1), timedelta(minutes=1))
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]
    assert world.endpoints.submissions == []


@pytest.mark.parametrize("end", [JobState.CANCELED, JobState.FAILED])
async def test_a_batch_job_that_is_canceled_by_hand_ends_its_job(end: JobState) -> None:
    world = World(route(max_attempts=3))
    await world.land(FILE)
    await operators.cancel(world.services, key(world), dry_run=False)
    (batch_job,) = world.workspace.canceled
    world.endpoints.turn(batch_job, end)
    await world.ticks(timedelta(minutes=3))
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]
    (event,) = world.publisher.events
    assert "by an operator" in event["data"]["reason"]["message"]


async def test_completed_beats_canceled() -> None:
    world = World(route())
    await world.land(FILE)
    await operators.cancel(world.services, key(world), dry_run=False)
    await completed(world)
    assert world.publisher.ends == [("completed", None)]


async def test_what_is_unknown_is_canceled_once_it_is_found() -> None:
    world = await unknown()
    await operators.cancel(world.services, key(world), dry_run=False)
    tag = attempt_tag(key(world), 1)
    world.endpoints.jobs["late"] = BatchJob(name="late", state=JobState.RUNNING, marks=(tag,))
    await world.ticks(timedelta(minutes=20), timedelta(minutes=1))
    assert world.workspace.canceled[:1] == ["late"]
    world.endpoints.turn("late", JobState.CANCELED)
    await world.ticks(timedelta(minutes=3))
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]


async def test_a_batch_job_that_is_found_long_after_the_cancel_is_given_its_time_to_end() -> None:
    world = await unknown(hold=True)
    await operators.cancel(world.services, key(world), dry_run=False)
    await world.ticks(timedelta(hours=3), timedelta(minutes=1))
    tag = attempt_tag(key(world), 1)
    world.endpoints.jobs["late"] = BatchJob(name="late", state=JobState.RUNNING, marks=(tag,))
    world.workspace.cancel_failure = Unavailable("away for half an hour")
    await world.ticks(timedelta(hours=1), timedelta(minutes=1))
    assert (world.progress.batch_job, world.publisher.ends) == ("late", [])
    world.workspace.cancel_failure = None
    await world.ticks(timedelta(minutes=5), timedelta(minutes=1))
    assert world.workspace.canceled == ["late"]
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]


async def test_what_is_unknown_and_never_found_ends_without_another_attempt() -> None:
    world = await unknown()
    await operators.cancel(world.services, key(world), dry_run=False)
    await world.ticks(timedelta(minutes=30), timedelta(minutes=1))
    assert world.publisher.ends == [("canceled", "canceled-by-operator")]
    assert len(world.endpoints.submissions) == 1


async def test_a_host_that_learns_of_its_batch_job_late_does_not_undo_a_cancel() -> None:
    world = World(route())
    landing = world.landing(world.storage.put(FILE))
    frozen = Stalled(world.endpoints, "submit")
    slow = asyncio.create_task(on_landing.land(world.services, landing))
    await frozen.reached.wait()
    await world.ticks(timedelta(minutes=6), timedelta(minutes=1))
    assert world.progress.state is State.UNKNOWN
    await operators.cancel(world.services, key(world), dry_run=False)
    frozen.go_on.set()
    await slow
    assert (world.progress.state, world.progress.cancel_code) == (
        State.SUBMITTED,
        "canceled-by-operator",
    )


async def test_what_is_being_submitted_or_has_ended_is_not_canceled() -> None:
    world = World(route())
    await world.land(FILE)
    opened = key(world)
    _, entry = world.ledger.open[opened]
    submitting = msgspec.structs.replace(entry.progress, state=State.SUBMITTING)
    await world.ledger.save(entry, submitting)
    with pytest.raises(Refused, match="is being submitted"):
        await operators.cancel(world.services, opened, dry_run=False)
    world = World(route())
    world.endpoints.answers = [ErrorAnswer(status=400, message="no")]
    await world.land(FILE)
    (ended,) = world.ledger.done
    with pytest.raises(Refused, match="has ended"):
        await operators.cancel(world.services, ended, dry_run=False)


async def test_a_dry_cancel_changes_nothing() -> None:
    world = World(route())
    await world.land(FILE)
    before = world.progress
    await operators.cancel(world.services, key(world), dry_run=True)
    assert (world.progress, world.workspace.canceled) == (before, [])


async def test_an_attempt_is_given_up_with_a_warning_where_no_listing_is_to_be_had() -> None:
    world = await unknown()
    (key,) = world.ledger.open

    async def refused(_: object) -> object:
        raise Unavailable("400: this listing is refused")

    world.endpoints.batch_jobs = refused  # type: ignore[assignment,method-assign]
    follows = await operators.declare_lost(world.services, key, dry_run=False)
    assert "the next attempt is 2" in follows
    assert "could not be checked: 400: this listing is refused" in follows
    assert world.progress.lost_attempts == (1,)


# --- release ------------------------------------------------------------------------------------

UNREADABLE = b"no event"


async def quarantined(world: World, message: bytes) -> str:
    await on_poison.on_poison(world.services, message)
    (kept,) = await world.services.messages.kept(DeadLetterKind.QUARANTINE)
    return kept.digest


async def test_what_can_still_not_be_understood_stays_in_quarantine() -> None:
    world = World(route())
    digest = await quarantined(world, UNREADABLE)
    with pytest.raises(Refused, match="still cannot be understood"):
        await operators.release(world.services, digest, dry_run=False)
    assert await world.services.messages.kept(DeadLetterKind.QUARANTINE)


async def test_what_can_be_understood_now_is_taken_and_leaves_quarantine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(route())
    event = json.dumps(created(world.landing(world.storage.put(FILE)))).encode()
    with monkeypatch.context() as older:  # a version of the code that does not know such events
        older.setattr(on_poison, "understood", lambda _: ([], [UnreadableMessage("what is this")]))
        digest = await quarantined(world, event)
    assert await operators.release(world.services, digest[:8], dry_run=True) == 1
    assert await operators.release(world.services, digest[:8], dry_run=False) == 1
    assert not await world.services.messages.kept(DeadLetterKind.QUARANTINE)
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_a_stuck_message_is_taken_without_waiting_for_the_sweep() -> None:
    world = World(route())
    event = json.dumps(created(world.landing(world.storage.put(FILE)))).encode()
    kept = await world.services.messages.keep(DeadLetterKind.STUCK, "0123", event, "away")
    assert await operators.release(world.services, kept.digest, dry_run=False) == 1
    assert not await world.services.messages.kept(DeadLetterKind.STUCK)
    assert len(world.ledger.open) == 1


async def test_what_landed_before_the_ledgers_memory_is_not_taken_out_of_quarantine() -> None:
    world = World(route())
    event = json.dumps(created(world.landing(world.storage.put(FILE)))).encode()
    kept = await world.services.messages.keep(DeadLetterKind.QUARANTINE, "0123", event, "")
    world.clock.pass_(world.services.timing.retention)
    with pytest.raises(Refused, match="may have forgotten whether it was scored"):
        await operators.release(world.services, kept.digest, dry_run=False)
    assert (world.ledger.open, len(world.kept.messages)) == ({}, 1)


async def test_a_digest_that_is_not_there_or_not_clear_is_refused() -> None:
    world = World(route())
    with pytest.raises(Refused, match="no kept message whose digest begins with 'ab'"):
        await operators.release(world.services, "ab", dry_run=False)
    for digest in ("ab1", "ab2"):
        await world.services.messages.keep(DeadLetterKind.QUARANTINE, digest, UNREADABLE, "")
    with pytest.raises(Refused, match="give more of its name"):
        await operators.release(world.services, "ab", dry_run=False)
