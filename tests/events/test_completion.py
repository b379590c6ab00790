"""Completion events: what the code makes, what the schema allows and what docs/events.md says agree."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scoring.cli.landfall.ledger import operators
from scoring.events.completion import (
    DATA_SCHEMA,
    TYPES,
    CompletionEvent,
    completion_event,
    receipt,
)
from scoring.jobs.batch_job import ErrorAnswer, JobState, Unclear
from scoring.jobs.blobs import Seen
from scoring.jobs.job import ContainerRef, Job
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import Progress, State
from scoring.jobs.submission import before_submission
from scoring.routes.route import Ready, Route
from scoring.timing import Timing
from scoring.use_cases.on_landing import land
from scoring.version import VERSION
from tests.events.completion_events import (
    LENIENT,
    SCHEMA,
    STRICT,
    changed,
    check_event,
    places,
    strict,
)
from tests.factories import (
    NOW,
    batch_job,
    blob,
    folder_job,
    folder_route,
    job,
    landing,
    place,
    progress,
    route,
)
from tests.fakes import World

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "events.md").read_text("utf-8")
SOURCE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/scoring"
    "/providers/Microsoft.MachineLearningServices/workspaces/hearts"
)
STUDIO = "https://ml.azure.com/runs/batchjob-1?wsid=/subscriptions/0/workspaces/w&tid=0"
NASTY_NAMES = [
    "a b.csv",
    "ü/ß.csv",
    "日本語.csv",
    "😀.csv",
    "%2F%2f..csv",
    '"quoted".csv',
    "back\\slash.csv",
    "line\nbreak\r\n.csv",
    "nul\x00bell\x07.csv",
    "a//b///c.csv",
    "?sig=x#y&z.csv",
    "{key}{0}.csv",
    "</script>.csv",
    "folder/",
    "e\u0301\u202ecsv.exe",
    "x" * 1_000,
]


def event(
    made: Job, how_far: Progress, outcome: Outcome, *, overwritten: bool | None = None
) -> dict[str, Any]:
    """Return the event that the code makes, as a subscriber reads it."""
    document: dict[str, Any] = json.loads(
        completion_event(
            job=made,
            progress=how_far,
            outcome=outcome,
            overwritten=overwritten,
            ended=NOW + timedelta(minutes=3),
            source=SOURCE,
            version="0.1.0",
        )
    )
    return document


# --- every end validates ------------------------------------------------------------------------

JOBS: dict[str, Callable[[], Job]] = {
    "file": job,
    "folder": folder_job,
    "marker inside": lambda: folder_job(
        "landing/b1/_done", of=folder_route(ready=Ready(marker="landing/{batch}/_done"))
    ),
    "deployment": lambda: job(of=route(deployment="blue")),
    "https": lambda: job(of=route(uri="https://landingzone.blob.core.windows.net/c/{path}")),
    "output folder": lambda: job(of=route(output="scored/{key}", output_kind="folder")),
    "no output": lambda: job(of=route(output="", output_kind="none")),
    "emulator": lambda: job(
        place=place(account_url="https://localhost:10000/landingzone", container="data")
    ),
}
FOLDER_SEEN: dict[str, Any] = {"files": 2, "size": 200, "folder_digest": "0123456789abcdef01234567"}
PROGRESS: dict[str, Progress] = {
    "submitted": progress(deployment="default"),
    "adopted, deployment not known": progress(),
    "second attempt": progress(attempt=2, lost="1"),
}
ENDS: dict[str, Outcome] = {
    "completed": Outcome(status=Status.COMPLETED, batch_job=batch_job(), output=blob()),
    "completed, empty output": Outcome(status=Status.COMPLETED, output=blob(size=0)),
    "completed, not verified": Outcome(status=Status.COMPLETED, batch_job=batch_job(studio=STUDIO)),
    "failed": Outcome(
        status=Status.FAILED,
        code="batch-job-failed",
        message="the script raised",
        batch_job=batch_job(studio=STUDIO),
    ),
    "failed without a word": Outcome(
        status=Status.FAILED, code="batch-job-failed", batch_job=batch_job()
    ),
    "gone": Outcome(status=Status.FAILED, code="batch-job-gone", message="not known"),
    "canceled": Outcome(
        status=Status.CANCELED, code="batch-job-canceled", batch_job=batch_job(studio=STUDIO)
    ),
    "timed out": Outcome(
        status=Status.TIMED_OUT, code="run-timeout", batch_job=batch_job(studio=STUDIO)
    ),
    "timed out, never asked": Outcome(
        status=Status.TIMED_OUT, code="whole-timeout", message="nobody has seen it end"
    ),
}
LEFT_OUT: dict[str, Outcome] = {
    "refused": Outcome(status=Status.FAILED, code="refused", message="400: BadRequest"),
    "rejected": Outcome(status=Status.REJECTED, code="empty", message="it has no content"),
    "superseded": Outcome(status=Status.SUPERSEDED, code="overwritten", message="0x2"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", JOBS)
def test_the_event_of_every_end_of_a_batch_job_validates(kind: str, end: str) -> None:
    made = JOBS[kind]()
    for reached, overwritten in itertools.product(PROGRESS.values(), (True, False, None)):
        seen = FOLDER_SEEN if made.route.input == "folder" and overwritten is not None else {}
        how_far = msgspec.structs.replace(reached, **seen)
        check_event(event(made, how_far, ENDS[end], overwritten=overwritten))


@pytest.mark.parametrize("end", LEFT_OUT)
@pytest.mark.parametrize("kind", JOBS)
def test_the_event_of_every_end_before_a_batch_job_validates(kind: str, end: str) -> None:
    for attempt in (1, 2):
        check_event(event(JOBS[kind](), progress(State.PENDING, attempt=attempt), LEFT_OUT[end]))


def test_the_event_of_attempts_that_nobody_found_validates() -> None:
    outcome = Outcome(status=Status.FAILED, code="outcome-unknown", message="never answered")
    check_event(
        event(job(), progress(State.UNKNOWN, attempt=3, lost="1,2", submitted=NOW), outcome)
    )


def test_every_status_has_its_type_and_both_are_the_schemas() -> None:
    assert set(TYPES) == set(Status)
    assert set(TYPES.values()) == set(SCHEMA["properties"]["type"]["enum"])
    assert set(Status) == set(SCHEMA["$defs"]["data"]["properties"]["status"]["enum"])


@pytest.mark.parametrize("length", [1_999, 2_000, 2_001, 100_000])
def test_a_long_message_is_cut_after_2000_characters(length: int) -> None:
    outcome = Outcome(status=Status.FAILED, code="batch-job-failed", message="😀" * length)
    made = event(job(), progress(), outcome)
    check_event(made)
    assert len(made["data"]["reason"]["message"]) == min(length, 2_000)


@pytest.mark.parametrize("name", NASTY_NAMES)
def test_the_event_of_a_nasty_name_validates_and_keeps_the_name(name: str) -> None:
    made = event(job(f"landing/{name}"), progress(), ENDS["completed"])
    check_event(made)
    assert made["subject"] == f"/blobServices/default/containers/c/blobs/landing/{name}"


@pytest.mark.parametrize("name", [name for name in NASTY_NAMES if "/" not in name])
def test_the_event_of_a_nasty_folder_validates_and_keeps_the_name(name: str) -> None:
    made = event(folder_job(f"landing/{name}.done"), progress(), ENDS["completed"])
    check_event(made)
    assert made["subject"] == f"/blobServices/default/containers/c/blobs/landing/{name}/"


@given(name=st.text(min_size=1, max_size=40), message=st.text(max_size=40))
def test_no_name_and_no_message_breaks_an_event(name: str, message: str) -> None:
    outcome = Outcome(status=Status.FAILED, code="batch-job-failed", message=message)
    check_event(event(job(f"landing/{name}"), progress(), outcome))


# --- the schema has teeth -----------------------------------------------------------------------

FULL: dict[str, Any] = event(
    job(of=route(deployment="blue")),
    progress(),
    Outcome(status=Status.COMPLETED, batch_job=batch_job(studio=STUDIO), output=blob()),
    overwritten=False,
)
UNVERIFIED: dict[str, Any] = FULL | {
    "data": FULL["data"]
    | {"output": FULL["data"]["output"] | {"size": None, "etag": None, "verified": False}}
}
FAILED: dict[str, Any] = event(folder_job(), progress(**FOLDER_SEEN), ENDS["failed"])


EVERY_FIELD = [
    pytest.param(document, path, id=f"{document['type']} {'.'.join(path)}")
    for document in (FULL, FAILED)
    for path in places(document)
]
WRONG_KINDS: list[Any] = [[], 1.5, -1, "", {}]
ALLOWED: dict[str, list[Any]] = {"message": [""], "correlation": [{}]}  # of those


def test_the_schema_and_its_strict_twin_are_schemas() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(strict(SCHEMA))
    assert SCHEMA["$id"] == DATA_SCHEMA


@pytest.mark.parametrize(("document", "path"), EVERY_FIELD)
def test_an_event_without_one_of_its_fields_or_with_a_wrong_kind_of_value_is_none(
    document: dict[str, Any], path: tuple[str, ...]
) -> None:
    assert LENIENT.is_valid(document)
    assert not LENIENT.is_valid(changed(document, path))
    accepted = [wrong for wrong in WRONG_KINDS if LENIENT.is_valid(changed(document, path, wrong))]
    assert accepted == ALLOWED.get(path[-1], [])


def test_the_version_of_the_code_is_one_that_the_schema_allows() -> None:
    check_event(changed(FULL, ("landfallversion",), VERSION))


WRONG: list[tuple[dict[str, Any], str, Any]] = [
    (FULL, "id", "not-a-key"),
    (FULL, "source", "with a space"),
    (FULL, "type", "Landfall.JobFailed"),  # with the status of another type
    (FULL, "type", "Landfall.JobTimedOut"),
    (FULL, "subject", "landing/a.csv"),
    (FULL, "time", "2026-11-24T12:00:00"),
    (FULL, "time", "2026-11-24T12:00:00+01:00"),
    (FULL, "time", "2026-13-24T12:00:00Z"),
    (FULL, "dataschema", "urn:landfall:completion-event:2"),
    (FULL, "landfallversion", "0.1"),
    (FULL, "data.status", "done"),
    (FULL, "data.reason", {"code": "refused", "message": ""}),
    (UNVERIFIED, "data.batchJob", None),
    (FULL, "data.output.verified", False),  # with size and etag
    (FULL, "data.output.size", None),  # though verified
    (FULL, "data.output.blobUrl", "https://x.blob.core.windows.net/c/scored/a/"),  # with a size
    (FULL, "data.output.uri", "azureml://datastores/w/paths/a b"),
    (FULL, "data.times.submitted", None),
    (FULL, "data.input.files", 1),
    (FULL, "data.input.etag", '"0x1"'),
    (FULL, "data.input.blobUrl", "landing/a.csv"),
    (FULL, "data.studio", "see the studio"),
    (FULL, "data.attempt", 0),
    (FULL, "data.correlation", {"landfall_order": 4711}),
    (FAILED, "data.reason", None),
    (FAILED, "data.reason.message", "x" * 2_001),
    (FAILED, "data.reason.code", "Batch job failed"),
    (FAILED, "data.input.size", None),  # though the files are counted
    (FAILED, "subject", "/blobServices/default/containers/c/blobs/landing/b1"),
    (FAILED, "data.input.blobUrl", "https://x.blob.core.windows.net/c/landing/b1"),
]


@pytest.mark.parametrize(
    ("document", "path", "wrong"), WRONG, ids=[f"{path}={wrong}"[:60] for _, path, wrong in WRONG]
)
def test_a_value_that_the_code_never_gives_is_told(
    document: dict[str, Any], path: str, wrong: Any
) -> None:
    assert not LENIENT.is_valid(changed(document, tuple(path.split(".")), wrong))


@pytest.mark.parametrize("end", ["rejected", "superseded"])
@pytest.mark.parametrize(("field", "value"), [("batchJob", "batchjob-1"), ("reason", None)])
def test_what_was_left_out_has_a_reason_and_no_batch_job(end: str, field: str, value: Any) -> None:
    made = event(job(), progress(State.PENDING), LEFT_OUT[end])
    assert LENIENT.is_valid(made)
    assert not LENIENT.is_valid(changed(made, ("data", field), value))


@pytest.mark.parametrize(
    "within", [(), ("data",), ("data", "input"), ("data", "output"), ("data", "times")]
)
def test_a_new_field_passes_a_subscribers_validator_but_not_the_tests(
    within: tuple[str, ...],
) -> None:
    grown = changed(FULL, (*within, "new"), "x")
    assert LENIENT.is_valid(grown)
    assert not STRICT.is_valid(grown)
    with pytest.raises(AssertionError, match="new"):
        check_event(grown)


def test_a_new_reason_passes_a_subscribers_validator_but_not_the_tests() -> None:
    grown = changed(FAILED, ("data", "reason", "code"), "newly-invented")
    assert LENIENT.is_valid(grown)
    assert not STRICT.is_valid(grown)


# --- a run through each end ---------------------------------------------------------------------

FILES = route(match="landing/**/*.csv", max_attempts=2)
MARKED = folder_route()
FILE = "landing/a.csv"


async def _completed(world: World) -> None:
    await world.land(FILE)
    world.complete("batchjob-1")


async def _folder_completed(world: World) -> None:
    await world.land("landing/b1/1.png", size=100)
    await world.land("landing/b1.done", size=0)
    world.complete("batchjob-1")


async def _not_verified(world: World) -> None:
    await world.land(FILE)
    world.storage.forbidden.add(world.endpoints.submissions[0].output_uri.partition("/paths/")[2])
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)


async def _output_missing_twice(world: World) -> None:
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.COMPLETED)
    await world.ticks(timedelta(minutes=1))
    world.endpoints.turn("batchjob-2", JobState.COMPLETED)


async def _failed_twice(world: World) -> None:
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED, "the script raised")
    await world.ticks(timedelta(minutes=1))
    world.endpoints.turn("batchjob-2", JobState.FAILED)


async def _refused(world: World) -> None:
    world.endpoints.answers = [ErrorAnswer(status=400, message="BadRequest: no such input")]
    await world.land(FILE)


async def _folder_refused(world: World) -> None:
    world.endpoints.answers = [ErrorAnswer(status=422, message="no")]
    world.storage.put("landing/b1/1.png")
    await world.land("landing/b1.done", size=0)


async def _unknown(world: World) -> None:
    world.endpoints.answers = [Unclear(message="no answer")] * 3
    await world.land(FILE)
    await world.ticks(timedelta(hours=1))


async def _gone(world: World) -> None:
    await world.land(FILE)
    world.endpoints.jobs.clear()
    await world.ticks(timedelta(minutes=70))


async def _canceled(world: World) -> None:
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.CANCELED)


async def _canceled_by_an_operator(world: World) -> None:
    await world.land(FILE)
    (key,) = world.ledger.open
    await operators.cancel(world.services, key, dry_run=False)
    world.endpoints.turn("batchjob-1", JobState.CANCELED)


async def _canceled_before_its_turn(world: World) -> None:
    world.endpoints.answers = [ErrorAnswer(status=429, message="slow", retry_after=900)]
    await world.land(FILE)
    (key,) = world.ledger.open
    await operators.cancel(world.services, key, dry_run=False)


async def _timed_out(world: World) -> None:
    await world.land(FILE)
    await world.ticks(timedelta(hours=24), every=timedelta(hours=1))


async def _empty(world: World) -> None:
    await world.land(FILE, size=0)
    await world.ticks(timedelta(minutes=70), every=timedelta(minutes=1))


async def _only_the_output_seen(world: World) -> None:
    world.endpoints.answers = [Unclear(message="no answer")]
    await world.land(FILE)
    world.storage.put(world.endpoints.submissions[0].output_uri.partition("/paths/")[2])
    await world.ticks(timedelta(hours=2), every=timedelta(minutes=1))


async def _empty_folder(world: World) -> None:
    await world.land("landing/b1.done", size=0)


async def _deleted_at_the_second_attempt(world: World) -> None:
    await world.land(FILE)
    world.endpoints.turn("batchjob-1", JobState.FAILED)
    del world.storage.blobs[FILE]
    await world.ticks(timedelta(minutes=1))


async def _overwritten(world: World) -> None:
    old = world.landing(world.storage.put(FILE))
    world.storage.put(FILE)
    await land(world.services, old)
    world.complete("batchjob-1")


RUNS: list[tuple[Callable[[World], Any], list[tuple[str, str | None]]]] = [
    (_completed, [("completed", None)]),
    (_folder_completed, [("completed", None)]),
    (_not_verified, [("completed", None)]),
    (_output_missing_twice, [("failed", "output-missing")]),
    (_failed_twice, [("failed", "batch-job-failed")]),
    (_refused, [("failed", "refused")]),
    (_folder_refused, [("failed", "refused")]),
    (_unknown, [("failed", "outcome-unknown")]),
    (_only_the_output_seen, [("completed", None)]),
    (_gone, [("failed", "batch-job-gone")]),
    (_canceled, [("canceled", "batch-job-canceled")]),
    (_canceled_by_an_operator, [("canceled", "canceled-by-operator")]),
    (_canceled_before_its_turn, [("canceled", "canceled-by-operator")]),
    (_timed_out, [("timed-out", "queue-timeout")]),
    (_empty, [("rejected", "empty")]),
    (_empty_folder, [("rejected", "folder-empty")]),
    (_deleted_at_the_second_attempt, [("rejected", "deleted")]),
    (_overwritten, [("superseded", "overwritten"), ("completed", None)]),
]


@pytest.mark.parametrize(("run", "ends"), RUNS, ids=[run.__name__ for run, _ in RUNS])
async def test_every_event_of_a_run_validates(
    run: Callable[[World], Any], ends: list[tuple[str, str | None]]
) -> None:
    world = World(FILES, MARKED)
    await run(world)
    await world.ticks(timedelta(minutes=2))
    assert world.publisher.ends == ends
    for published in world.publisher.published:
        check_event(published)


def test_the_runs_end_in_every_status() -> None:
    assert {status for _, ends in RUNS for status, _ in ends} == set(Status)


# --- docs/events.md -----------------------------------------------------------------------------

HEARTS = ContainerRef(
    account="hearts", account_url="https://hearts.blob.core.windows.net", container="data"
)
HEART = route(
    name="heart",
    match="landing/heart/**/*.csv",
    endpoint="heart-classifier-batch",
    output="scored/heart/{date}/{stem}-{key}/predictions.csv",
)
DIGITS = folder_route(
    name="digits",
    match="landing/digits/{batch}/*.png",
    ready=Ready(marker="landing/digits/{batch}.done"),
    endpoint="digits",
    output="scored/digits/{batch}-{key}/predictions.csv",
    max_attempts=2,
)


def _example_job(of: Route, path: str, **version: Any) -> Job:
    landed = landing(path, account="hearts", container="data", **version)
    return job(of=of, landed=landed, place=HEARTS)


def _example_end(name: str, **fields: Any) -> Any:
    studio = f"https://ml.azure.com/runs/{name}"
    return batch_job(name=name, studio=studio, **fields)


def _rejected() -> dict[str, Any]:
    made = _example_job(HEART, "landing/heart/b.csv", etag="0x8DE2B5C0F3A1B20", size=0)
    there = blob(made.path, etag=made.landing.etag, size=0)
    timing = Timing()
    later = there.modified + timing.empty_patience
    outcome = before_submission(made, Seen(trigger=there), later, timing)
    assert isinstance(outcome, Outcome)
    seen = progress(State.SUBMITTING, correlation='{"landfall_order": "4712"}')
    return event(made, seen, outcome)


def _examples() -> list[dict[str, Any]]:
    heart = _example_job(HEART, "landing/heart/a.csv", etag="0x8DE2B5B7C1D0E30", size=18_204)
    digits = _example_job(DIGITS, "landing/digits/b1.done", etag="0x8DE2B5B9F7A6C10", size=0)
    submitted = NOW + timedelta(seconds=1)
    of_heart = progress(
        batch_job="batchjob-7d2",
        deployment="xgboost",
        submitted=submitted,
        correlation='{"landfall_order": "4711"}',
    )
    return [
        event(
            heart,
            of_heart,
            Outcome(
                status=Status.COMPLETED,
                batch_job=_example_end("batchjob-7d2"),
                output=blob(heart.output_path(1), etag="0x8DE2B5BE0F9C4A0", size=2_411),
            ),
            overwritten=False,
        ),
        event(
            digits,
            progress(
                batch_job="batchjob-9a0",
                deployment="mlp",
                attempt=2,
                submitted=NOW + timedelta(seconds=90),
                files=20,
                size=61_440,
            ),
            Outcome(
                status=Status.FAILED,
                code="batch-job-failed",
                message="ValueError: 7.png is no image",
                batch_job=_example_end("batchjob-9a0"),
            ),
            overwritten=False,
        ),
        event(
            heart,
            of_heart,
            Outcome(
                status=Status.CANCELED,
                code="batch-job-canceled",
                batch_job=_example_end("batchjob-7d2"),
            ),
            overwritten=True,
        ),
        event(
            heart,
            of_heart,
            Outcome(
                status=Status.TIMED_OUT,
                code="run-timeout",
                message="its time was up: its cancel was asked for at 2026-11-24 12:02:30+00:00",
                batch_job=_example_end("batchjob-7d2"),
            ),
            overwritten=False,
        ),
        _rejected(),
        event(
            _example_job(HEART, "landing/heart/c.csv", etag="0x8DE2B5C4D8E7F60", size=18_204),
            progress(State.SUBMITTING),
            Outcome(
                status=Status.SUPERSEDED,
                code="overwritten",
                message="overwritten before its turn; the version now is 0x8DE2B5C6A5B4C30",
            ),
        ),
    ]


EXAMPLES = {example["type"]: example for example in _examples()}


@pytest.mark.parametrize("type_", TYPES.values())
def test_the_documents_example_is_what_the_code_makes(type_: str) -> None:
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
    (example,) = [one for one in shown if one.get("type") == type_]
    check_event(example)
    assert example == EXAMPLES[type_], json.dumps(EXAMPLES[type_], indent=2)


def test_the_receipt_that_is_shown_is_what_the_code_makes() -> None:
    (shown,) = re.findall(
        r"leaves `([^`]+)`:\n\n```json\n(.*?)```",
        (DOCS / "routes.md").read_text("utf-8"),
        re.DOTALL,
    )
    example = EXAMPLES["Landfall.LandingRejected"]
    attempt, made = receipt(msgspec.json.encode(example))
    path, content = shown
    rejected = _example_job(HEART, "landing/heart/b.csv", etag="0x8DE2B5C0F3A1B20", size=0)
    assert path == rejected.receipt_path(attempt)
    assert content == f"{made.decode()}\n"


def test_the_document_has_a_row_for_each_field_and_no_other() -> None:
    fields = TEXT.partition("## The envelope")[2].partition("## What a subscriber")[0]
    rows = re.findall(r"^\| `([A-Za-z.]+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", fields, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == set(_fields_of_the_schema("", SCHEMA)) - {"data"}


def test_the_schema_requires_each_field_that_the_code_writes_and_no_other() -> None:
    written = {".".join(path) for document in (FULL, FAILED) for path in places(document)}
    assert set(_fields_of_the_schema("", SCHEMA)) == written
    for name in ("data", "input", "output", "reason", "times"):
        of = SCHEMA["$defs"][name]
        assert of["required"] == list(of["properties"])
    assert SCHEMA["required"] == [*CompletionEvent.__struct_fields__]


def _fields_of_the_schema(within: str, schema: dict[str, Any]) -> Iterator[str]:
    for name, of in schema["properties"].items():
        yield within + name
        for option in of.get("oneOf", [of]):
            definition = option.get("$ref", "").rpartition("/")[2]
            inner = SCHEMA["$defs"].get(definition, {})
            if inner.get("type") == "object":
                yield from _fields_of_the_schema(f"{within}{name}.", inner)


def test_the_schema_names_every_reason_that_operators_are_told_of_and_no_other() -> None:
    _, _, text = (DOCS / "operate.md").read_text("utf-8").partition("## Reasons")
    told = re.findall(r"^\| `([a-z-]+)` \| (?!no job)", text.partition("\n## ")[0], re.MULTILINE)
    assert SCHEMA["$defs"]["reason"]["properties"]["code"]["examples"] == sorted(told)
