"""From a landing to its completion event, over the fakes: each edge of docs/design.md's diagram."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import SetupError, Unavailable, UnreadableMessage
from scoring.jobs.batch_job import Answer, ErrorAnswer, JobState, NotSent, Unclear
from scoring.jobs.progress import State
from scoring.use_cases import cancels, ledger_writes, on_landing, poll, submit
from tests.factories import DIGITS, job, route
from tests.fakes import World, host

FILE = "landing/heart/a.csv"
HEART = route(name="heart", match="landing/heart/**/*.csv", input="file")
MINUTE = timedelta(minutes=1)


def lose(_: Answer) -> Answer:
    return Unclear(message="the answer was lost")


async def test_a_file_is_submitted_followed_and_announced() -> None:
    world = World(HEART)
    await world.land(FILE)
    (batch_job,) = world.endpoints.jobs
    world.complete(batch_job)
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert world.ledger.open == {}
    (submission,) = world.endpoints.submissions
    assert submission.deployment == "default", "named, so that the event can say which one ran"


async def test_the_same_event_at_once_and_much_later_makes_one_job_and_one_event() -> None:
    world = World(HEART)
    landing = await world.land(FILE)
    await on_landing.land(world.services, landing)
    world.complete("batchjob-1")
    await world.tick()
    await world.ticks(timedelta(hours=5), every=timedelta(hours=1))
    await on_landing.land(world.services, landing)
    await world.tick()
    assert len(world.endpoints.submissions) == 1
    assert len(world.publisher.published) == 1
    assert world.ledger.open == {}


async def test_the_look_in_done_follows_the_claim() -> None:
    """Who looks before or beside the claim misses poll's move from open/ to done/."""
    world = World(HEART)
    landing = await world.land(FILE)
    world.complete("batchjob-1")
    claim = world.ledger.claim

    async def claim_after_polls_move(*args: Any) -> Any:
        await asyncio.sleep(0)  # whoever looks beside the claim has looked by now
        await world.tick()
        return await claim(*args)

    world.ledger.claim = claim_after_polls_move  # type: ignore[method-assign,assignment]
    await on_landing.land(world.services, landing)
    assert len(world.endpoints.submissions) == 1
    assert world.ledger.open == {}


@pytest.mark.parametrize("elsewhere", [{"account": "other"}, {"container": "other"}])
async def test_a_landing_in_another_container_is_none_of_the_routes(
    elsewhere: dict[str, str],
) -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    await on_landing.land(world.services, msgspec.structs.replace(landing, **elsewhere))
    assert world.ledger.open == {}


async def test_every_route_that_takes_a_landing_gets_its_own_job() -> None:
    world = World(HEART, route(name="second", match="landing/**", input="file"))
    await world.land(FILE)
    assert len({submission.output_uri for submission in world.endpoints.submissions}) == 2


@pytest.mark.parametrize("path", ["elsewhere/a.csv", "landing/heart/a.txt"])
async def test_a_landing_that_no_route_takes_is_left_alone(path: str) -> None:
    world = World(HEART)
    await world.land(path)
    assert world.endpoints.submissions == []


async def test_what_a_route_asks_of_its_batch_jobs_is_submitted() -> None:
    asked = {"input_name": "heart_data", "output_name": "scores", "params": {"top": 3}}
    world = World(msgspec.structs.replace(HEART, **asked, instance_count=4))
    await world.land(FILE)
    (submission,) = world.endpoints.submissions
    assert submission.settings.instance_count == 4
    assert asked.items() <= msgspec.structs.asdict(submission).items()


# --- odd landings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"block": False}, "not-a-block-blob"),
        ({"archived": True}, "archived"),
    ],
)
async def test_what_cannot_be_scored_is_rejected(
    properties: dict[str, object], reason: str
) -> None:
    world = World(HEART)
    await world.land(FILE, **properties)
    assert world.publisher.ends == [("rejected", reason)]
    assert world.endpoints.submissions == []
    assert world.ledger.open == {}


async def test_an_empty_file_is_scored_where_the_route_says_so() -> None:
    world = World(msgspec.structs.replace(HEART, on_empty="score"))
    await world.land(FILE, size=0)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]


async def test_a_file_deleted_before_its_turn_is_rejected() -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    del world.storage.blobs[FILE]
    await on_landing.land(world.services, landing)
    assert world.publisher.ends == [("rejected", "deleted")]


async def test_a_file_overwritten_before_its_turn_is_superseded_and_the_new_one_scored() -> None:
    world = World(HEART)
    old = world.landing(world.storage.put(FILE))
    await world.land(FILE)
    await on_landing.land(world.services, old)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("superseded", "overwritten"), ("completed", None)]
    assert len(world.endpoints.submissions) == 1


async def test_an_overwritten_file_whose_own_event_never_comes_is_scored_all_the_same() -> None:
    world = World(HEART)
    old = world.landing(world.storage.put(FILE))
    world.storage.put(FILE)
    await on_landing.land(world.services, old)
    assert len(world.endpoints.submissions) == 1
    assert world.publisher.ends == [("superseded", "overwritten")]


async def test_where_overwriting_is_ignored_a_path_has_one_job() -> None:
    world = World(msgspec.structs.replace(HEART, on_overwrite="ignore"))
    await world.land(FILE)
    await world.land(FILE)
    await world.land("landing/heart/another.csv")
    world.complete("batchjob-1")
    await world.tick()
    await world.land(FILE)
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("completed", None)]
    assert len(world.endpoints.submissions) == 2
    assert world.publisher.events[0]["data"]["input"]["overwritten"] is True


async def test_where_overwriting_is_ignored_the_version_that_stands_is_scored() -> None:
    world = World(msgspec.structs.replace(HEART, on_overwrite="ignore"))
    old = world.landing(world.storage.put(FILE))
    stands = world.storage.put(FILE, size=77)
    await on_landing.land(world.services, old)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    scored = world.publisher.events[0]["data"]["input"]
    assert (scored["etag"], scored["size"]) == (stands.etag, 77)
    assert scored["overwritten"] is False


async def test_where_overwriting_is_ignored_a_marker_written_again_makes_no_other_job() -> None:
    world = World(msgspec.structs.replace(DIGITS, on_overwrite="ignore"))
    world.storage.put("landing/digits/b1/1.png", size=100)
    await world.land("landing/digits/b1.done", size=0)
    await world.land("landing/digits/b1.done", size=0)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert len(world.endpoints.submissions) == 1
    assert world.publisher.events[0]["data"]["input"]["size"] == 100


async def test_the_size_of_a_folder_that_the_app_may_not_list_is_never_its_markers() -> None:
    world = World(msgspec.structs.replace(DIGITS, on_overwrite="ignore"))
    world.storage.forbidden.add("landing/digits/b1")
    await world.land("landing/digits/b1.done", size=7)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.events[0]["data"]["input"]["size"] is None


@pytest.mark.parametrize("overwritten", [True, False])
async def test_the_event_says_whether_the_input_was_overwritten(*, overwritten: bool) -> None:
    world = World(HEART)
    await world.land(FILE)
    if overwritten:
        world.storage.put(FILE)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.events[0]["data"]["input"]["overwritten"] is overwritten


async def test_where_the_app_may_not_look_the_output_is_not_verified() -> None:
    world = World(HEART)
    await world.land(FILE)
    uri = world.endpoints.submissions[0].output_uri
    world.storage.forbidden.add(uri.partition("/paths/")[2])
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert world.publisher.events[0]["data"]["output"]["verified"] is False


async def test_completed_without_output_is_a_failure() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    assert world.publisher.ends == [("failed", "output-missing")]


async def test_what_lay_at_the_output_before_is_not_taken_for_the_result() -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    await on_landing.land(world.services, landing)
    uri = world.endpoints.submissions[0].output_uri
    older = world.storage.put(uri.partition("/paths/")[2])
    world.storage.blobs[older.path] = msgspec.structs.replace(
        older, modified=older.modified - timedelta(seconds=1)
    )
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    assert world.publisher.ends == [("failed", "output-older")]


# --- outputs that are no file --------------------------------------------------------------------

REPORTS = msgspec.structs.replace(HEART, output="scored/{key}", output_kind="folder")
SILENT = msgspec.structs.replace(HEART, output="", output_kind="none", max_attempts=2)


@pytest.mark.parametrize("name", ["a.csv", "nested/deeper/a.csv"])
async def test_an_output_folder_is_believed_when_something_lies_in_it(name: str) -> None:
    world = World(REPORTS)
    await world.land(FILE)
    (submission,) = world.endpoints.submissions
    path = submission.output_uri.partition("/paths/")[2]
    world.storage.put(f"{path}/{name}")
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    (event,) = world.publisher.events
    assert submission.output_kind == "folder"
    assert event["data"]["output"] == {
        "uri": submission.output_uri,
        "blobUrl": f"https://landingzone.blob.core.windows.net/c/{path}/",
        "size": None,
        "etag": None,
        "verified": True,
    }


async def test_an_empty_output_folder_is_a_failure() -> None:
    world = World(REPORTS)
    await world.land(FILE)
    path = world.endpoints.submissions[0].output_uri.partition("/paths/")[2]
    world.storage.put(path)
    world.storage.put(f"{path}-beside.csv")
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    assert world.publisher.ends == [("failed", "output-missing")]


async def test_what_lay_in_an_output_folder_before_is_not_taken_for_the_result() -> None:
    world = World(REPORTS)
    await world.land(FILE)
    path = world.endpoints.submissions[0].output_uri.partition("/paths/")[2]
    older = world.storage.put(f"{path}/a.csv")
    world.storage.blobs[older.path] = msgspec.structs.replace(
        older, modified=older.modified - timedelta(seconds=1)
    )
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.tick()
    assert world.publisher.ends == [("failed", "output-older")]


async def test_without_an_output_the_batch_jobs_word_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = World(SILENT)
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    await world.ticks(MINUTE)
    world.endpoints.turn("batchjob-2", JobState.COMPLETED)
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("completed", None)]
    assert world.publisher.events[0]["data"]["output"] is None
    assert [one.output_uri for one in world.endpoints.submissions] == ["", ""]
    assert "output" not in caplog.text
    assert "verified" not in caplog.text


async def test_an_unclear_submission_without_an_output_is_found_by_its_tag() -> None:
    world = World(SILENT)
    world.endpoints.answers = [lose]
    await world.land(FILE)
    await world.land("landing/heart/another.csv")
    await world.tick()
    found = {entry.progress.batch_job for _, entry in world.ledger.open.values()}
    assert found == {"batchjob-1", "batchjob-2"}
    assert world.workspace.canceled == []


# --- folders by marker --------------------------------------------------------------------------


async def test_a_folder_is_scored_when_its_marker_lands() -> None:
    world = World(DIGITS)
    for name in ("1.png", "2.png"):
        await world.land(f"landing/digits/b1/{name}", size=100)
    world.storage.put("landing/digits/b1/nested/3.png")
    assert world.endpoints.submissions == []
    await world.land("landing/digits/b1.done", size=0)
    (submission,) = world.endpoints.submissions
    assert (submission.kind, submission.input_uri) == (
        "folder",
        "azureml://datastores/workspaceblobstore/paths/landing/digits/b1",
    )
    world.complete("batchjob-1")
    await world.tick()
    (event,) = world.publisher.events
    assert event["subject"].endswith("/blobs/landing/digits/b1/")
    assert (event["data"]["input"]["files"], event["data"]["input"]["size"]) == (2, 200)
    assert event["data"]["input"]["overwritten"] is False


async def test_a_file_that_joins_a_folder_while_its_job_runs_is_told() -> None:
    world = World(DIGITS)
    world.storage.put("landing/digits/b1/1.png")
    await world.land("landing/digits/b1.done", size=0)
    world.storage.put("landing/digits/b1/2.png")
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.events[0]["data"]["input"]["overwritten"] is True


async def test_a_file_of_a_folder_that_is_overwritten_while_its_job_runs_is_told() -> None:
    world = World(DIGITS)
    world.storage.put("landing/digits/b1/1.png")
    await world.land("landing/digits/b1.done", size=0)
    world.storage.put("landing/digits/b1/1.png")
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.events[0]["data"]["input"]["overwritten"] is True


async def test_a_marker_of_an_empty_folder_is_rejected() -> None:
    world = World(DIGITS)
    await world.land("landing/digits/b1.done", size=0)
    assert world.publisher.ends == [("rejected", "folder-empty")]


# --- answers to the POST ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_for_good_fails_the_job_at_once(status: int) -> None:
    world = World(HEART)
    world.endpoints.answers = [ErrorAnswer(status=status, message="no")]
    await world.land(FILE)
    assert world.publisher.ends == [("failed", "refused")]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_that_somebody_may_mend_is_borne_for_a_day(status: int) -> None:
    """The same attempt is POSTed again, slowly: for certain nothing was created."""
    world = World(HEART)
    world.endpoints.answers = [ErrorAnswer(status=status, message="not yet")] * 20
    await world.land(FILE)
    await world.ticks(timedelta(hours=8), every=MINUTE)
    assert 15 < len(world.endpoints.submissions) < 40
    assert len({submission.output_uri for submission in world.endpoints.submissions}) == 1
    world.complete("batchjob-1")
    await world.tick(MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_a_refusal_that_nobody_mends_fails_the_job_after_a_day() -> None:
    world = World(HEART)
    world.endpoints.answers = [ErrorAnswer(status=404, message="no such deployment")] * 1_000
    await world.land(FILE)
    await world.ticks(timedelta(hours=23, minutes=30), every=10 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(timedelta(hours=2), every=10 * MINUTE)
    assert world.publisher.ends == [("failed", "refused")]


async def test_an_endpoint_that_is_not_there_yet_is_waited_for() -> None:
    world = World(HEART)
    world.workspace.without.add(HEART.endpoint)
    await world.land(FILE)
    assert world.progress.state is State.PENDING
    world.workspace.without.clear()
    await world.ticks(5 * MINUTE)
    assert len(world.endpoints.submissions) == 1


async def test_throttling_is_waited_out_and_probed_with_one_job() -> None:
    world = World(HEART)
    throttled: list[Callable[[Answer], Answer] | Answer] = [
        ErrorAnswer(status=429, message="slow down", retry_after=120)
    ]
    world.endpoints.answers = throttled * 4
    for number in range(3):
        await world.land(f"landing/heart/{number}.csv")
    await world.ticks(timedelta(seconds=105))
    assert len(world.endpoints.submissions) == 3
    await world.tick(timedelta(seconds=20))
    assert len(world.endpoints.submissions) == 4, "one probe, refused"
    await world.tick(timedelta(seconds=125))
    assert len(world.endpoints.jobs) == 3, "one probe, taken, and the rest"


async def test_a_connection_that_was_never_made_is_tried_again_by_poll() -> None:
    world = World(HEART)
    world.endpoints.answers = [NotSent(message="refused")]
    await world.land(FILE)
    await world.tick()
    assert world.progress.state is State.SUBMITTED
    assert len(world.endpoints.jobs) == 1


@pytest.mark.parametrize("status", [302, 408, 409, 500, 503])
async def test_an_answer_that_says_nothing_for_certain_is_unclear(status: int) -> None:
    world = World(HEART)
    world.endpoints.answers = [ErrorAnswer(status=status, message="?", retry_after=5)]
    await world.land(FILE)
    assert world.progress.state is State.UNKNOWN


async def test_arm_away_at_the_submission_keeps_the_job_pending() -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))
    world.workspace.failure = Unavailable("ARM is away")
    await submit.start(world.services, job(FILE, of=HEART, landed=landing))
    assert [entry.progress.state for _, entry in world.ledger.open.values()] == [State.PENDING]
    world.workspace.failure = None
    await world.tick()
    assert world.progress.state is State.SUBMITTED


# --- unclear submissions ------------------------------------------------------------------------


async def test_an_unclear_submission_that_is_found_is_adopted() -> None:
    world = World(HEART)
    world.endpoints.answers = [lose]
    await world.land(FILE)
    await world.tick()
    assert world.progress.batch_job == "batchjob-1"
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert len(world.endpoints.submissions) == 1


async def test_of_several_batch_jobs_of_one_attempt_the_others_are_canceled() -> None:
    world = World(HEART)
    world.endpoints.answers = [lose]
    await world.land(FILE)
    await world.services.endpoints.submit(
        await world.workspace.endpoint("e"),  # type: ignore[arg-type]
        world.endpoints.submissions[0],
    )
    await world.tick()
    assert world.progress.batch_job == "batchjob-1"
    assert world.workspace.canceled == ["batchjob-2"]


async def test_an_unclear_submission_is_not_lost_before_its_last_look() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    await world.ticks(14 * MINUTE, every=timedelta(seconds=14))
    assert world.progress.state is State.UNKNOWN
    assert world.endpoints.listings == 3, "at once, after 1 and after 5 minutes"


async def test_a_lost_attempt_is_followed_by_another_with_its_own_output() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    await world.ticks(17 * MINUTE)
    first, second = world.endpoints.submissions
    assert first.output_uri != second.output_uri
    assert world.progress.attempt == 2


async def test_a_listing_that_fails_does_not_make_an_attempt_lost() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="no answer")]
    world.endpoints.failure = Unavailable("cut off")
    await world.land(FILE)
    await world.ticks(60 * MINUTE, every=MINUTE)
    assert world.progress.state is State.UNKNOWN
    world.endpoints.failure = None
    await world.tick()
    await world.tick()
    assert world.progress.attempt == 2


HELD = msgspec.structs.replace(HEART, on_unknown="hold")


async def test_a_held_attempt_is_looked_for_every_hour_and_never_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HELD)
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    await world.ticks(20 * MINUTE)
    assert world.endpoints.listings == 4
    caplog.clear()
    caplog.set_level(logging.INFO)
    await world.ticks(timedelta(hours=10))
    assert world.progress.state is State.UNKNOWN
    assert world.endpoints.listings == 14
    assert len(world.endpoints.submissions) == 1
    assert caplog.messages == []


async def test_a_held_attempt_that_is_listed_late_is_adopted() -> None:
    world = World(HELD)
    world.endpoints.answers = [lose]
    world.endpoints.unlisted.add("batchjob-1")
    await world.land(FILE)
    await world.ticks(timedelta(hours=3), every=MINUTE)
    world.endpoints.unlisted.clear()
    await world.ticks(timedelta(minutes=61), every=MINUTE)
    assert world.progress.batch_job == "batchjob-1"


async def test_a_held_attempt_that_an_operator_settles_is_followed_by_another() -> None:
    """As docs/operate.md says: the metadata's state and attempt."""
    world = World(HELD)
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    await world.ticks(20 * MINUTE)
    ((_, entry),) = world.ledger.open.values()
    await world.ledger.save(entry, entry.progress.to(State.PENDING, attempt=2))
    await world.tick()
    assert world.progress.state is State.SUBMITTED
    assert len({one.output_uri for one in world.endpoints.submissions}) == 2


async def test_three_lost_attempts_fail_the_job() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="no answer")] * 3
    await world.land(FILE)
    await world.ticks(60 * MINUTE)
    assert world.publisher.ends == [("failed", "outcome-unknown")]
    assert len(world.endpoints.submissions) == 3


async def test_a_lost_attempt_that_turns_up_when_the_job_ends_is_canceled() -> None:
    world = World(HEART)
    world.endpoints.answers = [lose]
    world.endpoints.unlisted.add("batchjob-1")
    await world.land(FILE)
    await world.ticks(17 * MINUTE)
    world.endpoints.unlisted.clear()
    world.complete("batchjob-2")
    await world.ticks(3 * MINUTE)
    assert world.workspace.canceled == ["batchjob-1"]
    assert world.publisher.ends == [("completed", None)]
    assert world.publisher.events[0]["data"]["attempt"] == 2


async def test_an_answer_after_the_job_was_given_up_for_another_is_canceled() -> None:
    """A host that froze between its POST and the answer comes back when attempt 2 runs."""
    world = World(HEART)
    world.endpoints.answers = [lose]
    world.endpoints.unlisted.add("batchjob-1")
    await world.land(FILE)
    (_, frozen) = next(iter(world.ledger.open.values()))
    await world.ticks(17 * MINUTE)
    await ledger_writes.record(
        world.services, frozen, frozen.progress.to(State.SUBMITTED, batch_job="batchjob-1")
    )
    assert world.workspace.canceled == ["batchjob-1"]
    assert world.progress.batch_job == "batchjob-2"


async def test_an_answer_that_comes_while_the_job_is_merely_unknown_is_recorded() -> None:
    world = World(HEART)
    world.endpoints.answers = [Unclear(message="?")]
    await world.land(FILE)
    (_, before) = next(iter(world.ledger.open.values()))
    stale = msgspec.structs.replace(before, version="an earlier one")
    await ledger_writes.record(
        world.services, stale, before.progress.to(State.SUBMITTED, batch_job="late")
    )
    assert world.progress.batch_job == "late"
    assert world.workspace.canceled == []


# --- following a batch job ----------------------------------------------------------------------


async def test_a_failed_batch_job_fails_the_job_with_its_message() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED, "the script raised")
    await world.tick()
    assert world.publisher.events[0]["data"]["reason"] == {
        "code": "batch-job-failed",
        "message": "the script raised",
    }


async def test_a_failed_batch_job_is_tried_again_where_the_route_says_so() -> None:
    world = World(msgspec.structs.replace(HEART, max_attempts=2))
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    await world.tick()
    await world.tick()
    assert len({one.output_uri for one in world.endpoints.submissions}) == 2
    world.endpoints.turn("batchjob-2", JobState.FAILED)
    await world.ticks(MINUTE)
    assert world.publisher.ends == [("failed", "batch-job-failed")]


async def test_a_canceled_batch_job_cancels_the_job() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.CANCELED)
    await world.tick()
    assert world.publisher.ends == [("canceled", "batch-job-canceled")]


async def test_a_batch_job_that_disappears_is_gone_after_an_hour() -> None:
    world = World(HEART)
    await world.land(FILE)
    del world.endpoints.jobs["batchjob-1"]
    await world.ticks(58 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(4 * MINUTE)
    assert world.publisher.ends == [("failed", "batch-job-gone")]


async def test_a_batch_job_that_comes_back_is_not_gone() -> None:
    world = World(HEART)
    await world.land(FILE)
    away = world.endpoints.jobs.pop("batchjob-1")
    await world.ticks(50 * MINUTE)
    world.endpoints.jobs["batchjob-1"] = away
    await world.ticks(5 * MINUTE)
    del world.endpoints.jobs["batchjob-1"]
    await world.ticks(50 * MINUTE)
    assert world.publisher.ends == []


async def test_a_batch_job_is_asked_about_ever_more_seldom() -> None:
    world = World(HEART)
    await world.land(FILE)
    await world.ticks(10 * MINUTE)
    first_ten_minutes = world.endpoints.questions
    await world.ticks(60 * MINUTE)
    assert 20 <= first_ten_minutes <= 40
    assert 60 <= world.endpoints.questions - first_ten_minutes <= 66, "once a minute"


async def test_a_missed_hour_of_poll_is_made_up_for_by_one_question() -> None:
    world = World(HEART)
    await world.land(FILE)
    await world.tick()
    world.complete("batchjob-1")
    await world.tick(60 * MINUTE)
    assert world.publisher.ends == [("completed", None)]


# --- time budgets -------------------------------------------------------------------------------

HASTY = msgspec.structs.replace(
    HEART, queue_timeout=60 * MINUTE, run_timeout=120 * MINUTE, max_attempts=3
)


async def submitted(*, after_cancel: JobState = JobState.CANCELED) -> World:
    """Return a world with one batch job, and what a cancel makes of it."""
    world = World(HASTY)
    world.workspace.after_cancel = after_cancel
    await world.land(FILE)
    return world


async def test_a_batch_job_that_stays_queued_is_canceled_and_the_job_timed_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await submitted()
    await world.ticks(59 * MINUTE)
    assert world.workspace.canceled == []
    await world.ticks(5 * MINUTE)
    assert world.workspace.canceled == ["batchjob-1"]
    assert world.publisher.ends == [("timed-out", "queue-timeout")]
    assert len(world.endpoints.submissions) == 1, "though the route grants more attempts"
    assert "reason=queue-timeout" in _line_of("canceling", caplog)
    (told,) = [one for one in caplog.records if one.message.startswith("timed-out ")]
    assert told.levelno == logging.ERROR


@pytest.mark.parametrize("later", [JobState.RUNNING, JobState.OPEN], ids=["runs", "not-responding"])
async def test_a_batch_job_that_has_begun_to_run_has_its_run_budget(later: JobState) -> None:
    world = await submitted()
    await world.ticks(50 * MINUTE)
    world.endpoints.turn("batchjob-1", JobState.RUNNING)
    await world.ticks(3 * MINUTE)
    world.endpoints.turn("batchjob-1", later)
    await world.ticks(115 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(5 * MINUTE)
    assert world.publisher.ends == [("timed-out", "run-timeout")]


@pytest.mark.parametrize("state", [JobState.OPEN, JobState.RUNNING, JobState.CANCELING])
async def test_a_batch_job_that_no_cancel_ends_is_given_up_after_an_hour(state: JobState) -> None:
    world = await submitted(after_cancel=state)
    await world.ticks(115 * MINUTE)
    assert world.publisher.ends == []
    await world.ticks(10 * MINUTE)
    assert world.publisher.ends == [("timed-out", "queue-timeout")]
    assert "may still be running" in world.publisher.events[0]["data"]["reason"]["message"]


async def test_a_batch_job_that_disappears_after_its_cancel_is_given_up_after_an_hour() -> None:
    world = await submitted(after_cancel=JobState.CANCELING)
    await world.ticks(65 * MINUTE)
    del world.endpoints.jobs["batchjob-1"]
    await world.ticks(60 * MINUTE)
    assert world.publisher.ends == [("timed-out", "queue-timeout")]


async def test_a_batch_job_that_completes_after_its_cancel_is_completed() -> None:
    world = await submitted(after_cancel=JobState.CANCELING)
    await world.ticks(65 * MINUTE)
    assert world.workspace.canceled == ["batchjob-1"]
    world.complete("batchjob-1")
    await world.ticks(2 * MINUTE)
    assert world.publisher.ends == [("completed", None)]


async def test_while_arm_is_down_the_cancel_is_asked_for_again_at_each_question(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = await submitted()
    world.workspace.cancel_failure = Unavailable("ARM is away")
    await world.ticks(65 * MINUTE)
    before = world.progress
    assert caplog.text.count('error="Unavailable: ARM is away"') >= 3
    await world.ticks(5 * MINUTE)
    assert world.progress == before, "no further write"
    world.workspace.cancel_failure = None
    await world.ticks(3 * MINUTE)
    assert world.publisher.ends == [("timed-out", "queue-timeout")]
    assert world.endpoints.jobs["batchjob-1"].state is JobState.CANCELED


async def test_a_cancel_that_never_arrived_is_asked_for_at_the_end() -> None:
    world = await submitted(after_cancel=JobState.CANCELED)
    world.workspace.cancel_failure = Unavailable("ARM is away")
    await world.ticks(62 * MINUTE)
    world.workspace.cancel_failure = None
    await world.tick(61 * MINUTE)
    await world.tick()
    assert world.publisher.ends == [("timed-out", "queue-timeout")]
    assert world.endpoints.jobs["batchjob-1"].state is JobState.CANCELED


async def test_what_completes_without_output_after_its_cancel_is_not_tried_again() -> None:
    world = await submitted(after_cancel=JobState.CANCELING)
    await world.ticks(65 * MINUTE)
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.ticks(5 * MINUTE)
    assert world.publisher.ends == [("failed", "output-missing")]


async def test_two_polls_at_once_ask_for_one_cancel() -> None:
    world = await submitted(after_cancel=JobState.CANCELING)
    await world.ticks(58 * MINUTE)
    ask = world.endpoints.batch_job

    async def another_poll_is_faster(*args: Any) -> Any:
        answer = await ask(*args)
        world.endpoints.batch_job = ask  # type: ignore[method-assign]
        await poll.poll(world.services)
        return answer

    world.endpoints.batch_job = another_poll_is_faster  # type: ignore[method-assign,assignment]
    await world.tick(3 * MINUTE)
    assert world.workspace.canceled == ["batchjob-1"]
    await world.ticks(5 * MINUTE)
    assert world.workspace.canceled == ["batchjob-1"]


async def test_a_batch_job_that_nobody_can_ask_about_is_given_up_after_22_days() -> None:
    world = await submitted()
    world.endpoints.failure = Unavailable("the endpoint is away")
    hour = timedelta(hours=1)
    await world.ticks(22 * 24 * hour, every=hour)
    assert world.publisher.ends == []
    await world.ticks(3 * hour, every=hour)
    assert world.publisher.ends == [("timed-out", "whole-timeout")]


# --- the end ------------------------------------------------------------------------------------


async def test_while_the_topic_refuses_ended_jobs_ask_nothing_of_azure_ml() -> None:
    world = World(HEART)
    for number in range(3):
        await world.land(f"landing/heart/{number}.csv")
        world.complete(f"batchjob-{number + 1}")
    world.publisher.refuses = True
    await world.tick()
    asked = world.endpoints.questions
    await world.ticks(60 * MINUTE)
    world.publisher.refuses = False
    await world.tick()
    assert world.endpoints.questions == asked
    assert world.publisher.ends == [("completed", None)] * 3
    assert world.ledger.open == {}


async def test_a_copy_that_another_version_publishes_names_the_one_that_ended_the_job() -> None:
    world = World(HEART)
    await world.land(FILE)
    world.complete("batchjob-1")
    world.publisher.refuses = True
    await world.tick()
    world.publisher.refuses = False
    world.services = host(world.services, version="2.0.0")
    await world.tick()
    (event,) = world.publisher.events
    assert event["landfallversion"] == "1.2.3"
    assert world.publisher.published == list(world.ledger.done.values())


async def test_two_polls_at_once_end_a_job_once_and_copies_are_identical() -> None:
    """The second poll works through the job while the first waits for the topic."""
    world = World(HEART)
    await world.land(FILE)
    world.complete("batchjob-1")
    world.clock.pass_(MINUTE)
    publishing, second_is_through = asyncio.Event(), asyncio.Event()
    publish = world.publisher.publish

    async def slow_publish(event: bytes) -> None:
        world.publisher.publish = publish  # type: ignore[method-assign]
        publishing.set()
        await second_is_through.wait()
        await publish(event)

    world.publisher.publish = slow_publish  # type: ignore[method-assign]
    first = asyncio.create_task(poll.poll(world.services))
    await publishing.wait()
    world.clock.pass_(MINUTE)
    await poll.poll(world.services)
    second_is_through.set()
    await first
    assert len(world.publisher.published) == 2
    assert len(set(world.publisher.published)) == 1
    assert world.ledger.open == {}


async def test_one_jobs_error_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    world = World(HEART)
    await world.land("landing/heart/1.csv")
    await world.land("landing/heart/2.csv")
    world.complete("batchjob-2")
    broken = world.endpoints.batch_job

    async def one_breaks(endpoint: object, name: str) -> object:
        if name == "batchjob-1":
            raise ValueError("a surprise")
        return await broken(endpoint, name)  # type: ignore[arg-type]

    world.endpoints.batch_job = one_breaks  # type: ignore[method-assign,assignment]
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert 'error="ValueError: a surprise"' in caplog.text


async def test_a_disabled_routes_files_wait_and_are_scored_once_it_is_enabled() -> None:
    world = World(msgspec.structs.replace(HEART, enabled=False))
    await world.land(FILE)
    await world.ticks(5 * MINUTE)
    assert world.endpoints.submissions == []
    world.services = msgspec.structs.replace(world.services, routes=[HEART])
    await world.tick()
    assert len(world.endpoints.submissions) == 1


async def test_a_setup_that_refuses_to_cancel_leaves_a_warning_not_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HEART)
    world.workspace.failure = SetupError("no permission")
    await cancels.cancel_surplus(world.workspace, "key", "batchjob-9")
    assert 'surplus-left job=key batch_job=batchjob-9 error="no permission"' in caplog.text


async def test_a_claim_that_waited_too_long_is_renewed_before_its_post() -> None:
    """Poll must see that somebody is at it: a POST starts within 30 s of its claim."""
    world = World(HEART)
    look = world.storage.blob

    async def slow_look(place: object, path: str) -> object:
        world.clock.pass_(timedelta(seconds=40))
        return await look(place, path)  # type: ignore[arg-type]

    world.storage.blob = slow_look  # type: ignore[method-assign,assignment]
    claimed = world.clock.now
    await world.land(FILE)
    assert world.progress.submitted is not None
    assert world.progress.submitted - claimed >= timedelta(seconds=40)


async def test_the_clients_own_repeated_writes_change_nothing() -> None:
    world = World(HEART)
    world.ledger.answers_get_lost = True
    await world.land(FILE)
    world.complete("batchjob-1")
    await world.tick()
    assert world.publisher.ends == [("completed", None)]
    assert len(world.endpoints.submissions) == 1


# --- what the log tells -------------------------------------------------------------------------


async def test_a_file_that_the_app_may_not_look_at_is_told_and_submitted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HEART)
    world.storage.forbidden.add(FILE)
    await world.land(FILE)
    assert f"path={FILE}" in _line_of("unseen", caplog)
    assert world.progress.state is State.SUBMITTED


async def test_what_keeps_a_job_from_its_post_is_told(caplog: pytest.LogCaptureFixture) -> None:
    world = World(HEART)
    landing = world.landing(world.storage.put(FILE))

    async def away(*_: Any) -> Any:
        raise Unavailable("storage is away")

    world.storage.blob = away  # type: ignore[method-assign,assignment]
    with pytest.raises(Unavailable):
        await on_landing.land(world.services, landing)
    assert 'reason="storage is away"' in _line_of("held", caplog)
    assert f"path={FILE}" in _line_of("held", caplog)


async def test_every_odd_end_and_turn_of_a_job_has_its_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = World(msgspec.structs.replace(HEART, max_attempts=2), DIGITS)
    await world.land("landing/digits/b/1.png")
    assert "reason=marker" in _line_of("waiting", caplog)
    old = await world.land("landing/heart/page.csv", block=False)
    assert "reason=not-a-block-blob" in _line_of("rejected", caplog)
    world.storage.put(old.path)
    await on_landing.land(world.services, msgspec.structs.replace(old, etag="older"))
    assert "reason=overwritten" in _line_of("superseded", caplog)
    await world.land("landing/heart/fails.csv")
    world.endpoints.turn("batchjob-2", JobState.FAILED)
    await world.tick()
    assert "reason=batch-job-failed" in _line_of("trying-again", caplog)
    world.endpoints.turn("batchjob-1", JobState.CANCELED)
    await world.tick()
    assert "reason=batch-job-canceled" in _line_of("canceled", caplog)
    with pytest.raises(UnreadableMessage):
        await on_landing.on_landing(world.services, b"no event")
    assert _line_of("unreadable", caplog)


def _line_of(action: str, caplog: pytest.LogCaptureFixture) -> str:
    (found,) = [line for line in caplog.messages if line.startswith(f"{action} ")]
    return found
