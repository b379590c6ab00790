"""What to do next, from what is known: every state, report, answer and odd landing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.jobs.batch_job import BatchJob, JobState
from scoring.jobs.blobs import Blob, Forbidden, Unreadable
from scoring.jobs.next_step import (
    Adopt,
    Announce,
    Ask,
    AskWorkspace,
    Cancel,
    FindEnd,
    Found,
    Look,
    LookAtOutput,
    NoEnd,
    NoListing,
    NotInWorkspace,
    NotKnown,
    OutputFound,
    Report,
    Step,
    Submit,
    Tick,
    Wait,
    _first_age,
    next_step,
)
from scoring.jobs.outcome import Finish, Outcome, Status
from scoring.jobs.progress import BY_OPERATOR, OpenJob, Save, State
from scoring.log import Action
from scoring.timing import Timing
from tests.factories import NOW, batch_job, blob, open_job, progress

TIMING = Timing()
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OLD = NOW - timedelta(seconds=1)
NO_OUTPUT = OutputFound(None, listed=True)
REPORTS: list[Report | None] = [
    None,
    NoEnd(),
    Found(()),
    Found((batch_job(),)),
    NoListing(),
    NotKnown(),
    NotInWorkspace(),
    OutputFound(None, listed=True),
    OutputFound(None, listed=False),
    OutputFound(blob(modified=NOW), listed=True),
    *(batch_job(state) for state in JobState),
]


def tick(now: datetime, *, last: datetime | None = None, waiting: tuple[str, ...] = ()) -> Tick:
    return Tick(now=now, last=last, waiting=frozenset(waiting))


def step(opened: OpenJob, age: timedelta, report: Report | None = None) -> Step:
    """Return what follows at a tick that comes so long after `NOW`, a tick after the one before."""
    now = NOW + age
    return next_step(opened, report, tick(now, last=now - TIMING.tick), TIMING)


# --- pending ------------------------------------------------------------------------------------


def test_a_pending_job_is_submitted() -> None:
    assert step(open_job(State.PENDING), 0 * SECOND) == Submit()


@pytest.mark.parametrize(("age", "expected"), [(59 * SECOND, Wait()), (MINUTE, Submit())])
def test_a_pending_job_is_not_submitted_before_its_time(age: timedelta, expected: Step) -> None:
    assert step(open_job(State.PENDING, not_before=NOW + MINUTE), age) == expected


def test_a_pending_job_whose_turn_has_not_come_waits_and_others_do_not() -> None:
    now = tick(NOW, waiting=("waiting",))
    assert next_step(open_job(State.PENDING, key="waiting"), None, now, TIMING) == Wait()
    assert next_step(open_job(State.PENDING, key="other"), None, now, TIMING) == Submit()


# --- submitting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("report", REPORTS)
def test_a_claim_that_is_not_stale_is_left_to_its_claimant(report: Report | None) -> None:
    assert step(open_job(State.SUBMITTING), 5 * MINUTE - SECOND, report) == Wait()


def test_before_a_stale_claim_is_touched_done_is_looked_at() -> None:
    assert step(open_job(State.SUBMITTING), 5 * MINUTE) == FindEnd()


def test_a_stale_claim_that_has_not_ended_is_unknown_since_it_was_made() -> None:
    """Its claimant died, or froze, before or after the POST: nobody can tell."""
    assert step(open_job(State.SUBMITTING), 5 * MINUTE, NoEnd()) == Save(
        progress(State.UNKNOWN, submitted=NOW), Action.UNCLEAR, "stale claim"
    )


# --- unknown ------------------------------------------------------------------------------------

UNKNOWN = open_job(State.UNKNOWN, submitted=NOW - MINUTE)
LOOKS = [0 * MINUTE, MINUTE, 5 * MINUTE, 15 * MINUTE]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("late", [SECOND, 14 * SECOND, 15 * SECOND])
def test_an_unclear_attempt_is_looked_for_at_once_and_after_1_5_and_15_minutes(
    look: timedelta, late: timedelta
) -> None:
    assert step(UNKNOWN, look + late) == Look()


@pytest.mark.parametrize("age", [16 * SECOND, 59 * SECOND, 2 * MINUTE, 5 * MINUTE + 16 * SECOND])
def test_an_unclear_attempt_is_not_looked_for_in_between(age: timedelta) -> None:
    assert step(UNKNOWN, age) == Wait()


@pytest.mark.parametrize("age", [15 * MINUTE, 16 * MINUTE, 24 * HOUR])
def test_the_last_look_stays_due_until_it_was_taken(age: timedelta) -> None:
    """A listing that was cut off is none, and the attempt is not lost without a whole one."""
    assert step(UNKNOWN, age) == Look()


@given(
    gaps=st.lists(st.integers(min_value=1, max_value=400), min_size=1),
    began=st.integers(min_value=-60, max_value=60),
)
def test_each_look_falls_into_one_tick_however_irregular_ticks_are(
    gaps: list[int], began: int
) -> None:
    last = NOW + began * SECOND
    taken = 0
    for gap in gaps:
        now = last + gap * SECOND
        taken += next_step(UNKNOWN, None, tick(now, last=last), TIMING) == Look()
        last = now
        if now >= NOW + LOOKS[-1]:
            break
    due = [look for look in LOOKS[:-1] if NOW + began * SECOND <= NOW + look < last]
    assert taken <= len(due) + (last >= NOW + LOOKS[-1])
    assert (taken > 0) is (due != [] or last >= NOW + LOOKS[-1])


def test_without_a_finished_pass_every_look_so_far_is_due() -> None:
    assert next_step(UNKNOWN, None, tick(NOW + 10 * MINUTE), TIMING) == Look()


@pytest.mark.parametrize("age", [SECOND, 15 * MINUTE])
def test_a_batch_job_that_is_found_is_adopted(age: timedelta) -> None:
    assert step(UNKNOWN, age, Found((batch_job(name="found"),))) == Adopt(
        progress(State.SUBMITTED, submitted=NOW - MINUTE, batch_job="found"), ()
    )


def test_of_several_batch_jobs_the_first_is_kept_and_the_others_are_surplus() -> None:
    first, second, third = (batch_job(name=name) for name in ("first", "second", "third"))
    adopted = step(UNKNOWN, SECOND, Found((first, second, third)))
    assert isinstance(adopted, Adopt)
    assert adopted.progress.batch_job == "first"
    assert adopted.surplus == (second, third)


def test_of_several_batch_jobs_one_that_runs_is_kept_and_what_has_not_ended_is_surplus() -> None:
    found = tuple(batch_job(state, name=state.name) for state in JobState)
    adopted = step(UNKNOWN, SECOND, Found(found[1:]))
    assert isinstance(adopted, Adopt)
    assert adopted.progress.batch_job == "RUNNING"
    assert {one.name for one in adopted.surplus} == {"OPEN", "CANCELING"}


@pytest.mark.parametrize("age", [SECOND, MINUTE, 15 * MINUTE - SECOND])
def test_what_is_not_found_before_the_last_look_may_still_come(age: timedelta) -> None:
    assert step(UNKNOWN, age, Found(())) == Wait()


def test_what_is_not_found_at_the_last_look_is_lost_and_another_attempt_is_made() -> None:
    """An attempt is never POSTed again after an unclear answer."""
    lost = step(UNKNOWN, 15 * MINUTE, NO_OUTPUT)
    assert lost == Save(progress(State.PENDING, attempt=2, lost="1"), Action.LOST)


def test_a_job_fails_when_its_third_attempt_is_lost() -> None:
    second = step(open_job(State.UNKNOWN, attempt=2, lost="1"), 15 * MINUTE, NO_OUTPUT)
    assert isinstance(second, Save)
    third = step(open_job(State.UNKNOWN, attempt=3, lost="1,2"), 15 * MINUTE, NO_OUTPUT)
    assert isinstance(third, Finish)
    assert (third.outcome.status, third.outcome.code) == (Status.FAILED, "outcome-unknown")


def test_a_failed_attempt_does_not_count_as_a_lost_one() -> None:
    opened = open_job(State.UNKNOWN, attempt=3, lost="2")
    lost = step(opened, 15 * MINUTE, NO_OUTPUT)
    assert isinstance(lost, Save)
    assert lost.progress.lost_attempts == (2, 3)


@pytest.mark.parametrize(("report", "listed"), [(Found(()), True), (NoListing(), False)])
def test_before_an_attempt_is_given_up_its_output_is_looked_at(
    report: Report, *, listed: bool
) -> None:
    """What lies there is evidence that the endpoint accepted it, whatever its listing says."""
    assert step(UNKNOWN, 15 * MINUTE - SECOND, report) == Wait()
    assert step(UNKNOWN, 15 * MINUTE, report) == LookAtOutput(listed=listed)


@pytest.mark.parametrize("hold", ["", "hold"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("age", "ends"), [(HOUR - SECOND, False), (HOUR, True)])
def test_an_unanswered_attempt_completes_once_its_output_is_unchanged_for_an_hour(
    age: timedelta, hold: str, *, ends: bool, listed: bool
) -> None:
    unknown = open_job(State.UNKNOWN, submitted=NOW, on_unknown=hold)
    found = OutputFound(blob(modified=NOW + MINUTE), listed=listed)
    expected = Finish(Outcome(status=Status.COMPLETED)) if ends else Wait()
    assert step(unknown, MINUTE + age, found) == expected


@pytest.mark.parametrize("output", [None, Forbidden(), Unreadable("409"), blob(modified=OLD)])
def test_where_no_listing_is_to_be_had_an_attempt_is_given_up_after_a_day_without_another(
    output: Blob | Forbidden | Unreadable | None,
) -> None:
    unknown, found = open_job(State.UNKNOWN, submitted=NOW), OutputFound(output, listed=False)
    assert step(unknown, DAY - SECOND, found) == Wait()
    end = step(unknown, DAY, found)
    assert isinstance(end, Finish)
    assert (end.outcome.status, end.outcome.code) == (Status.FAILED, "outcome-unknown")


def test_without_a_listing_what_an_operator_canceled_ends_as_canceled_after_a_day() -> None:
    canceled = open_job(State.UNKNOWN, cancel_asked=NOW, cancel_code=BY_OPERATOR)
    end = step(canceled, DAY, OutputFound(None, listed=False))
    assert isinstance(end, Finish)
    assert (end.outcome.status, end.outcome.code) == (Status.CANCELED, BY_OPERATOR)


def test_where_its_route_says_hold_an_attempt_is_never_given_up() -> None:
    held = open_job(State.UNKNOWN, on_unknown="hold")
    assert step(held, 30 * DAY, OutputFound(None, listed=False)) == Wait()
    assert step(held, 30 * DAY, NO_OUTPUT) == Wait()


# --- submitted ----------------------------------------------------------------------------------


def naive_ages(timing: Timing) -> Iterator[timedelta]:
    """Yield the ages at which a batch job is asked about, one by one."""
    age = timing.tick
    while True:
        yield age
        age += min(max(age / 10, timing.tick), timing.ask_at_most)


TIMINGS = st.builds(
    lambda seconds, pace: Timing(tick=seconds * SECOND).scaled(pace),
    st.integers(min_value=1, max_value=30),
    st.sampled_from([1.0, 0.1, 0.001]),
)


@given(timing=TIMINGS, milliseconds=st.integers(min_value=-10_000, max_value=10_000_000))
def test_the_next_age_is_found_without_counting_from_the_first(
    timing: Timing, milliseconds: int
) -> None:
    start = timedelta(milliseconds=milliseconds) * min(timing.ask_at_most / MINUTE * 10, 1)
    assert _first_age(start, timing) == next(age for age in naive_ages(timing) if age >= start)


@given(
    timing=TIMINGS,
    last=st.integers(min_value=-100, max_value=5_000),
    gap=st.integers(min_value=1, max_value=300),
)
def test_a_question_is_due_in_the_tick_into_which_one_of_the_ages_falls(
    timing: Timing, last: int, gap: int
) -> None:
    ages = (age for age in naive_ages(timing) if age >= last * SECOND)
    due = next(ages) < (last + gap) * SECOND
    now = tick(NOW + (last + gap) * SECOND, last=NOW + last * SECOND)
    assert next_step(open_job(), None, now, timing) == (Ask() if due else Wait())


def test_a_batch_job_is_asked_about_ever_more_slowly_but_at_least_once_a_minute() -> None:
    asked = [age * SECOND for age in range(0, 7_200, 15) if step(open_job(), age * SECOND) == Ask()]
    waits = [(later - one) for one, later in pairwise(asked)]
    assert asked[0] == 2 * TIMING.tick
    assert all(
        wait <= max(age / 10, TIMING.tick) + TIMING.tick
        for age, wait in zip(asked, waits, strict=False)
    )
    assert max(waits) == 60 * SECOND
    assert len(asked) < 150


def test_without_a_finished_pass_every_batch_job_is_asked_about() -> None:
    assert next_step(open_job(), None, tick(NOW + SECOND), TIMING) == Ask()


def test_a_batch_job_that_is_under_way_is_left_alone() -> None:
    assert step(open_job(), MINUTE, batch_job()) == Wait()


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        (JobState.COMPLETED, Status.COMPLETED, ""),
        (JobState.FAILED, Status.FAILED, "batch-job-failed"),
        (JobState.CANCELED, Status.CANCELED, "batch-job-canceled"),
    ],
)
@pytest.mark.parametrize("gone_since", [None, NOW])
def test_the_end_of_a_batch_job_ends_the_attempt(
    state: JobState, status: Status, code: str, gone_since: datetime | None
) -> None:
    report = batch_job(state, message="no rows" if state is JobState.FAILED else "")
    assert step(open_job(gone_since=gone_since), MINUTE, report) == Finish(
        Outcome(status=status, code=code, message=report.message, batch_job=report)
    )


def test_a_batch_job_that_the_endpoint_does_not_know_is_waited_for() -> None:
    assert step(open_job(), MINUTE, NotKnown()) == Save(progress(gone_since=NOW + MINUTE))
    assert step(open_job(gone_since=NOW), HOUR - SECOND, NotKnown()) == Wait()


def test_a_batch_job_that_comes_back_is_not_gone() -> None:
    assert step(open_job(gone_since=NOW), MINUTE, batch_job()) == Save(progress())


def test_the_workspace_is_asked_for_a_batch_job_that_its_endpoint_has_not_known_for_an_hour() -> (
    None
):
    gone = open_job(gone_since=NOW)
    assert step(gone, HOUR, NotKnown()) == AskWorkspace()
    assert step(gone, HOUR, NotInWorkspace()) == LookAtOutput()
    ended = step(gone, HOUR, batch_job(JobState.COMPLETED))
    assert isinstance(ended, Finish)
    assert ended.outcome.status is Status.COMPLETED


@pytest.mark.parametrize("output", [None, Forbidden(), Unreadable("409"), blob(modified=OLD)])
def test_a_batch_job_that_nobody_knows_and_that_left_no_output_is_gone(
    output: Blob | Forbidden | Unreadable | None,
) -> None:
    gone = step(open_job(gone_since=NOW, submitted=NOW), HOUR, OutputFound(output, listed=True))
    assert isinstance(gone, Finish)
    assert (gone.outcome.status, gone.outcome.code) == (Status.FAILED, "batch-job-gone")
    assert "batchjob-1" in gone.outcome.message


@pytest.mark.parametrize(("age", "ends"), [(HOUR - SECOND, False), (HOUR, True)])
def test_the_output_of_a_batch_job_that_nobody_knows_counts_once_it_is_unchanged_for_an_hour(
    age: timedelta, *, ends: bool
) -> None:
    gone, found = (
        open_job(gone_since=NOW, submitted=NOW),
        OutputFound(blob(modified=NOW + HOUR), listed=True),
    )
    expected = Finish(Outcome(status=Status.COMPLETED)) if ends else Wait()
    assert step(gone, HOUR + age, found) == expected


# --- time budgets -------------------------------------------------------------------------------

RAN_FROM_1_MINUTE_ON: dict[str, Any] = {"running": NOW + MINUTE}


@pytest.mark.parametrize(
    ("fields", "state", "age", "code"),
    [
        ({}, JobState.OPEN, DAY, "queue-timeout"),
        ({}, JobState.CANCELING, DAY, "queue-timeout"),
        ({"queue_timeout": HOUR}, JobState.OPEN, HOUR, "queue-timeout"),
        ({"gone_since": NOW}, JobState.OPEN, DAY, "queue-timeout"),
        (RAN_FROM_1_MINUTE_ON, JobState.RUNNING, DAY + MINUTE, "run-timeout"),
        (RAN_FROM_1_MINUTE_ON, JobState.OPEN, DAY + MINUTE, "run-timeout"),
        (RAN_FROM_1_MINUTE_ON | {"run_timeout": HOUR}, JobState.OPEN, HOUR + MINUTE, "run-timeout"),
        (
            RAN_FROM_1_MINUTE_ON | {"run_timeout": 30 * DAY},
            JobState.OPEN,
            22 * DAY,
            "whole-timeout",
        ),
        ({"queue_timeout": 30 * DAY}, JobState.OPEN, 22 * DAY, "whole-timeout"),
        ({}, JobState.RUNNING, 22 * DAY, "whole-timeout"),
    ],
)
def test_the_cancel_of_a_batch_job_is_asked_for_when_a_time_budget_has_run_out(
    fields: dict[str, Any], state: JobState, age: timedelta, code: str
) -> None:
    fields = {"changed": NOW + HOUR, **fields}  # entries change; budgets do not count from then on
    now = NOW + age
    asked = step(open_job(**fields), age, batch_job(state))
    del fields["changed"]
    fields["gone_since"] = None
    assert asked == Cancel(progress(cancel_asked=now, cancel_code=code, **fields))
    early = step(open_job(**fields), age - SECOND, batch_job(state))
    assert not isinstance(early, Cancel)


def test_when_a_batch_job_began_to_run_is_written_down_once() -> None:
    running = batch_job(JobState.RUNNING)
    assert step(open_job(), MINUTE, running) == Save(progress(running=NOW + MINUTE))
    assert step(open_job(**RAN_FROM_1_MINUTE_ON), HOUR, running) == Wait()


def test_a_batch_job_that_comes_back_running_is_written_down_as_both_at_once() -> None:
    back = step(open_job(gone_since=NOW), HOUR, batch_job(JobState.RUNNING))
    assert back == Save(progress(running=NOW + HOUR))


def test_a_batch_job_that_is_young_costs_no_write_when_it_runs() -> None:
    assert step(open_job(), MINUTE - SECOND, batch_job(JobState.RUNNING)) == Wait()


@pytest.mark.parametrize("age", [30 * SECOND, HOUR])
def test_a_batch_job_that_runs_is_past_its_queue_budget(age: timedelta) -> None:
    opened = open_job(queue_timeout=SECOND)
    assert not isinstance(step(opened, age, batch_job(JobState.RUNNING)), Cancel)


def test_a_pace_shortens_the_budgets_that_no_route_names() -> None:
    hurried = TIMING.scaled(0.1)
    now = tick(NOW + 3 * HOUR, last=NOW)
    assert isinstance(next_step(open_job(), batch_job(), now, hurried), Cancel)
    named = open_job(queue_timeout=4 * HOUR)
    assert next_step(named, batch_job(), now, hurried) == Wait()


# --- canceling ----------------------------------------------------------------------------------

CANCELING: dict[str, Any] = {"cancel_asked": NOW, "cancel_code": "run-timeout"}


@pytest.mark.parametrize("state", [JobState.OPEN, JobState.RUNNING])
def test_a_cancel_that_the_endpoint_does_not_show_is_asked_for_again_without_a_write(
    state: JobState,
) -> None:
    assert step(open_job(**CANCELING), HOUR - SECOND, batch_job(state)) == Cancel(None)


@pytest.mark.parametrize("report", [batch_job(JobState.CANCELING), NotKnown()])
def test_the_end_of_a_batch_job_that_is_being_canceled_is_waited_for(report: Report) -> None:
    assert step(open_job(**CANCELING), HOUR - SECOND, report) == Wait()


@pytest.mark.parametrize("age", [MINUTE, 30 * DAY])
def test_completed_beats_timed_out_also_after_the_cancel(age: timedelta) -> None:
    report = batch_job(JobState.COMPLETED)
    completed = Finish(Outcome(status=Status.COMPLETED, batch_job=report))
    assert step(open_job(**CANCELING), age, report) == completed


@pytest.mark.parametrize("state", [JobState.CANCELED, JobState.FAILED])
def test_every_other_end_after_the_cancel_is_timed_out(state: JobState) -> None:
    report = batch_job(state, message="the node went away")
    message = f"its time was up: its cancel was asked for at {NOW}; the node went away"
    assert step(open_job(**CANCELING), MINUTE, report) == Finish(
        Outcome(status=Status.TIMED_OUT, code="run-timeout", message=message, batch_job=report)
    )


@pytest.mark.parametrize("state", [JobState.CANCELED, JobState.FAILED])
def test_every_other_end_after_an_operators_cancel_is_canceled(state: JobState) -> None:
    report = batch_job(state)
    message = f"by an operator: its cancel was asked for at {NOW}"
    opened = open_job(**(CANCELING | {"cancel_code": BY_OPERATOR}))
    assert step(opened, MINUTE, report) == Finish(
        Outcome(status=Status.CANCELED, code=BY_OPERATOR, message=message, batch_job=report)
    )


def test_what_an_operator_canceled_while_it_was_unknown_gets_no_other_attempt() -> None:
    fields = CANCELING | {"cancel_code": BY_OPERATOR}
    lost = step(open_job(State.UNKNOWN, **fields), HOUR, NO_OUTPUT)
    assert isinstance(lost, Finish)
    assert (lost.outcome.status, lost.outcome.code) == (Status.CANCELED, BY_OPERATOR)


@pytest.mark.parametrize("report", [batch_job(), batch_job(JobState.CANCELING), NotKnown()])
def test_a_batch_job_that_does_not_end_an_hour_after_the_cancel_is_given_up(
    report: BatchJob | NotKnown,
) -> None:
    given_up = step(open_job(**CANCELING), HOUR, report)
    assert isinstance(given_up, Finish)
    assert (given_up.outcome.status, given_up.outcome.code) == (Status.TIMED_OUT, "run-timeout")
    assert "batchjob-1 end: it may still be running" in given_up.outcome.message
    assert given_up.outcome.batch_job == (report if isinstance(report, BatchJob) else None)


@pytest.mark.parametrize(
    ("fields", "end", "code"),
    [(CANCELING, HOUR, "run-timeout"), ({}, 22 * DAY + HOUR, "whole-timeout")],
)
def test_a_batch_job_that_cannot_be_asked_about_is_asked_about_once_more_and_given_up(
    fields: dict[str, Any], end: timedelta, code: str
) -> None:
    opened = open_job(**fields)
    assert all(step(opened, end + late * SECOND) == Ask() for late in range(15))
    given_up = step(opened, end + 16 * SECOND)
    assert isinstance(given_up, Finish)
    assert (given_up.outcome.status, given_up.outcome.code) == (Status.TIMED_OUT, code)


@pytest.mark.parametrize("adopted", [NOW + 30 * DAY - SECOND, NOW + 30 * DAY])
def test_a_batch_job_that_is_found_after_a_month_is_asked_about_first(adopted: datetime) -> None:
    opened = open_job(changed=adopted)
    now = tick(NOW + 30 * DAY + TIMING.tick, last=NOW + 30 * DAY - SECOND)
    assert next_step(opened, None, now, TIMING) == Ask()


def test_after_a_month_without_poll_a_batch_job_is_asked_about_first() -> None:
    assert next_step(open_job(), None, tick(NOW + 30 * DAY, last=NOW), TIMING) == Ask()


@given(
    reports=st.lists(
        st.sampled_from([None, NotKnown(), *(batch_job(one) for one in JobState if not one.ended)]),
        min_size=60,
        max_size=60,
    )
)
def test_whatever_is_reported_a_batch_job_is_not_followed_for_ever(
    reports: list[Report | None],
) -> None:
    """None stands for a question that raised."""
    timing = Timing(queue=HOUR, run=HOUR, whole=2 * HOUR, cancel_patience=HOUR)
    gap, opened, asked = 5 * MINUTE, open_job(), 0
    for number, report in enumerate(reports):
        now = tick(NOW + (number + 1) * gap, last=NOW + number * gap)
        taken = next_step(opened, None, now, timing)
        if isinstance(taken, Ask) and report is not None:
            taken = next_step(opened, report, now, timing)
        if isinstance(taken, Finish):
            break
        if isinstance(taken, Save | Cancel) and taken.progress:
            opened = open_job(changed=now.now)
            opened = msgspec.structs.replace(opened, progress=taken.progress)
            asked += isinstance(taken, Cancel)
    assert isinstance(taken, Finish)
    assert asked <= 1
    assert now.now <= NOW + 4 * HOUR + 3 * gap


# --- ended, and all of them ---------------------------------------------------------------------


@pytest.mark.parametrize("report", REPORTS)
def test_an_ended_job_is_only_announced(report: Report | None) -> None:
    assert step(open_job(State.ENDED), MINUTE, report) == Announce()


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("state", State)
def test_no_step_ever_goes_back_on_an_attempt(state: State, report: Report | None) -> None:
    """Whatever is reported: no attempt is given twice, and no lost one is forgotten."""
    opened = open_job(state, attempt=3, lost="1")
    taken = step(opened, 15 * MINUTE, report)
    if isinstance(taken, Save | Adopt):
        again = taken.progress.state is State.PENDING
        assert taken.progress.attempt == (4 if again else 3)
        assert taken.progress.lost_attempts[0] == 1
