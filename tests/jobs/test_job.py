"""Jobs: their keys, inputs and outputs, and their progress as metadata."""

import itertools
import re
from datetime import UTC, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.jobs.blobs import Seen
from scoring.jobs.job import Job, attempt_tag, digest, job_for, misplaced
from scoring.jobs.landing import Landing
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import Progress, State, first_progress
from scoring.jobs.submission import before_submission
from scoring.routes.route import Ready
from scoring.timing import Timing
from scoring.uris import ESCAPINGS, Escaping, has_dot_segment
from tests.factories import (
    NOW,
    blob,
    folder_job,
    folder_route,
    job,
    landing,
    place,
    progress,
    route,
)

# --- keys ---------------------------------------------------------------------------------------


def test_the_same_landing_always_gives_the_same_key() -> None:
    """Also when it is told of later, by another event or another host."""
    later = landing(landed=NOW + timedelta(days=3), size=11)
    assert job(landed=later).key == job().key


@pytest.mark.parametrize(
    "other",
    [
        job(of=route(name="other")),
        job("landing/b.csv"),
        job(landed=landing(account="another")),
        job(landed=landing(container="another")),
        job(landed=landing(etag="0x2")),
    ],
    ids=["route", "path", "account", "container", "version"],
)
def test_a_key_differs_when_any_part_does(other: Job) -> None:
    assert other.key != job().key


def test_a_key_does_not_depend_on_what_a_route_says_beyond_its_name() -> None:
    """An edited route does not score again what it has scored."""
    assert job(of=route(endpoint="other", output="other/{key}.csv")).key == job().key


def test_a_folders_key_is_derived_from_the_folder_and_its_markers_version() -> None:
    assert folder_job(landed=landing("landing/b1.done")).key == folder_job().key
    assert folder_job(landed=landing("landing/b1.done", etag="0x2")).key != folder_job().key
    assert folder_job("landing/b2.done").key != folder_job().key


@given(parts=st.lists(st.text(min_size=1), min_size=2))
def test_a_digest_tells_where_each_part_ends(parts: list[str]) -> None:
    first, second, *rest = parts
    digests = [
        digest(first, second, *rest),
        digest(first + second, *rest),
        digest(first + second[:1], second[1:], *rest),
    ]
    assert len(set(digests)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{24}", one) for one in digests)


# --- inputs -------------------------------------------------------------------------------------

LONG = "azureml://subscriptions/s/resourceGroups/rg/workspaces/ws"


def test_a_files_input_is_its_path_on_the_datastore() -> None:
    made = job("landing/north/a b.csv")
    assert made.path == "landing/north/a b.csv"
    assert made.input_uri == "azureml://datastores/workspaceblobstore/paths/landing/north/a b.csv"


def test_a_folders_input_is_the_folder_that_the_marker_names() -> None:
    made = folder_job()
    assert made.path == "landing/b1"
    assert made.input_uri == "azureml://datastores/workspaceblobstore/paths/landing/b1"


def test_a_folder_may_have_several_names_and_literals() -> None:
    folders = folder_route(
        match="landing/{site}/day-{day}/*.png",
        ready=Ready(marker="done/{day}/{site}"),
        output="scored/{day}-{key}.csv",
    )
    assert job("done/24/north", of=folders).path == "landing/north/day-24"


@pytest.mark.parametrize(
    ("uri", "escaping", "expected"),
    [
        (
            "azureml://datastores/{datastore}/paths/{path}",
            "percent-encoded",
            "azureml://datastores/workspaceblobstore/paths/landing/a%20b.csv",
        ),
        (
            f"{LONG}/datastores/{{datastore}}/paths/{{path}}",
            "literal",
            f"{LONG}/datastores/workspaceblobstore/paths/landing/a b.csv",
        ),
        (
            "https://landingzone.blob.core.windows.net/{container}/{path}",
            "literal",
            "https://landingzone.blob.core.windows.net/c/landing/a%20b.csv",
        ),
    ],
)
def test_a_route_may_write_its_input_otherwise(uri: str, escaping: Any, expected: str) -> None:
    made = job_for(route(uri=uri), landing("landing/a b.csv"), place(), escaping)
    assert made.input_uri == expected


@given(path=st.text())
def test_no_path_is_taken_for_a_template(path: str) -> None:
    assume(not has_dot_segment(path))
    made = job("landing/" + path)
    assert made.input_uri.endswith("/paths/landing/" + path)


# --- where all of it lies -----------------------------------------------------------------------


@given(path=st.text(min_size=1), site=st.text(min_size=1), escaping=st.sampled_from(ESCAPINGS))
def test_whatever_a_route_takes_lies_where_the_route_says(
    path: str, site: str, escaping: Escaping
) -> None:
    routes = [
        route(match="landing/**/*"),
        route(match="landing/{site}/*", output="scored/{site}{stem}/{stem}.{key}"),
        route(match="landing/a+%b{site}/**", uri="https://x.net/{container}/{path}"),
        folder_route(
            match="landing/{site}/*", ready=Ready(marker="in/{site}"), output="s/{site}-{key}"
        ),
    ]
    for one, of in itertools.product([f"landing/{site}/{path}", f"in/{site}"], routes):
        landed = landing(one)
        if of.triggered_by(one) is not None:
            assert misplaced(job_for(of, landed, place(), escaping)) is None


OUTSIDE: dict[str, tuple[dict[str, Any], str]] = {
    "a path with dots": ({"path": "landing/../secret/a.csv"}, "path"),
    "a path with encoded dots": ({"path": "landing/%2e%2e/secret/a.csv"}, "path"),
    "a path elsewhere": ({"path": "secret/a.csv"}, "path"),
    "another container": ({"place": place(container="secret")}, "container"),
    "another account": ({"place": place(account="elsewhere")}, "container"),
    "a URI elsewhere": (
        {"input_uri": "azureml://datastores/workspaceblobstore/paths/secret/a.csv"},
        "input URI",
    ),
    "a URI on another datastore": (
        {"input_uri": "azureml://datastores/other/paths/landing/a.csv"},
        "input URI",
    ),
    "a URI with dots": (
        {"input_uri": "azureml://datastores/workspaceblobstore/paths/landing/../secret/a.csv"},
        "input URI",
    ),
    "an output elsewhere": ({"output_base": "secret/{key}.csv"}, "output"),
    "an output with dots": ({"output_base": "scored/files/../../landing/{key}.csv"}, "output"),
}


@pytest.mark.parametrize(("fields", "what"), OUTSIDE.values(), ids=OUTSIDE)
def test_what_lies_elsewhere_than_its_route_says_is_rejected_before_a_post(
    fields: dict[str, Any], what: str
) -> None:
    """Whatever made it: also an entry that an earlier version wrote."""
    made = msgspec.structs.replace(job(), **fields)
    assert misplaced(made) == what
    outcome = before_submission(made, Seen(trigger=blob()), NOW, Timing())
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.code) == (Status.REJECTED, "misplaced")
    assert what in outcome.message


def test_an_output_that_its_own_route_takes_for_an_input_is_rejected() -> None:
    of = route(match="landing/**", output="landing/{key}.csv")
    assert misplaced(job(of=of)) == "output, which is an input,"


def test_a_folder_elsewhere_than_its_route_says_is_misplaced() -> None:
    assert misplaced(folder_job()) is None
    for path in ("landing/..", "secret/b1"):
        assert misplaced(msgspec.structs.replace(folder_job(), path=path)) == "path"


def test_what_stands_for_a_directory_when_its_turn_comes_is_rejected() -> None:
    made = job(of=route(on_empty="score"))
    seen = Seen(trigger=blob(size=0, metadata={"Hdi_isfolder": "true"}))
    outcome = before_submission(made, seen, NOW, Timing())
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.code) == (Status.REJECTED, "directory")


# --- outputs ------------------------------------------------------------------------------------


def test_an_output_is_made_of_route_day_stem_and_key() -> None:
    made = job("landing/north/Mr. X.tar.gz")
    assert made.output_path(1) == f"scored/files/2026-11-24/Mr._X.tar-{made.key}/predictions.csv"


def test_an_output_may_use_the_names_of_the_pattern() -> None:
    made = job("landing/north/24.csv", of=route(match="landing/{site}/*", output="s/{site}-{key}"))
    assert made.output_path(1) == f"s/north-{made.key}"


def test_a_folders_stem_is_its_whole_name() -> None:
    folders = folder_route(output="scored/{stem}-{key}.csv")
    made = job("landing/v1.2.done", of=folders)
    assert made.output_path(1) == f"scored/v1.2-{made.key}.csv"


@pytest.mark.parametrize(("name", "stem"), [(".csv", "_csv"), ("a", "a"), ("a.b.csv", "a.b")])
def test_a_stem_is_the_name_without_its_last_ending(name: str, stem: str) -> None:
    made = job(f"landing/{name}", of=route(output="s/{stem}/{key}"))
    assert made.output_path(1) == f"s/{stem}/{made.key}"


def test_the_first_attempt_is_given_the_key_and_each_other_its_number_too() -> None:
    made = job(of=route(output="scored/{key}.csv"))
    paths = [made.output_path(attempt) for attempt in (1, 2, 12)]
    assert paths == [f"scored/{made.key}{end}.csv" for end in ("", "-2", "-12")]


def test_an_output_uri_is_the_same_however_paths_are_escaped() -> None:
    made = job_for(route(), landing("landing/ü %.csv"), place(), "percent-encoded")
    assert made.output_uri(1) == (
        "azureml://datastores/workspaceblobstore/paths/" + made.output_path(1)
    )
    assert re.fullmatch(r"[A-Za-z0-9._:/-]+", made.output_uri(1))


SEGMENT = st.text(min_size=1).filter(lambda text: "/" not in text)
LANDINGS = st.builds(
    landing,
    st.builds("landing/{}/{}".format, SEGMENT, SEGMENT),
    etag=st.sampled_from(["0x1", "0x2"]),
)
OUTPUTS = st.sampled_from(
    [
        "s/{key}",
        "s/{stem}{key}",
        "s/{key}{stem}",
        "s/{site}/{stem}-{key}/{date}.csv",
        "s/{site}.{key}",
    ]
)


@given(path_of=LANDINGS, output=OUTPUTS, attempt=st.integers(min_value=1, max_value=99))
def test_an_output_has_safe_segments_whatever_the_file_is_called(
    path_of: Landing, output: str, attempt: int
) -> None:
    of = route(match="landing/{site}/*", output=output)
    for segment in job(of=of, landed=path_of).output_path(attempt).split("/"):
        assert re.fullmatch(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?", segment)


@given(
    one=st.tuples(LANDINGS, st.integers(min_value=1, max_value=12)),
    other=st.tuples(LANDINGS, st.integers(min_value=1, max_value=12)),
    output=OUTPUTS,
)
def test_no_two_attempts_are_given_the_same_output(
    one: tuple[Landing, int], other: tuple[Landing, int], output: str
) -> None:
    assume(one != other)
    of = route(match="landing/{site}/*", output=output)
    paths = {job(of=of, landed=path_of).output_path(attempt) for path_of, attempt in (one, other)}
    assert len(paths) == 2


def test_an_attempts_tag_differs_from_every_others() -> None:
    tags = {attempt_tag(made.key, n) for made in (job(), folder_job()) for n in range(1, 13)}
    assert len(tags) == 24


# --- the body -----------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [job(), folder_job(), job("landing/🫀\n.csv")])
def test_a_job_survives_being_written_and_read(made: Job) -> None:
    assert msgspec.json.decode(msgspec.json.encode(made), type=Job) == made


def test_a_job_of_a_newer_version_of_the_code_is_read_without_what_it_added() -> None:
    """During a deployment two versions of the code run at once; bodies are never rewritten."""
    document = msgspec.to_builtins(folder_job())
    document["new"] = document["route"]["new"] = document["route"]["ready"]["new"] = 1
    assert msgspec.convert(document, Job) == folder_job()


# --- progress -----------------------------------------------------------------------------------

TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
BUDGETS = st.none() | st.timedeltas(min_value=timedelta(seconds=1)).map(
    lambda budget: budget - timedelta(microseconds=budget.microseconds)
)
NAMES = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)
UNKNOWN = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(
        lambda name: name not in {*Progress.__struct_fields__} - {"rest"}
    ),
    st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1),
)
PROGRESSES = st.builds(
    Progress,
    schema=st.integers(min_value=1, max_value=9),
    state=st.sampled_from(State),
    nonce=NAMES,
    route=NAMES,
    endpoint=NAMES,
    attempt=st.integers(min_value=1, max_value=99),
    lost=st.sampled_from(["", "1", "1,2"]),
    submitted=TIMES,
    batch_job=st.just("") | NAMES,
    deployment=st.just("") | NAMES,
    folder_digest=st.just("") | NAMES,
    files=st.none() | st.integers(min_value=0),
    size=st.none() | st.integers(min_value=0),
    receipt=st.booleans(),
    correlation=st.just("") | st.just('{"landfall_order": "\\u00e4"}'),
    refused_since=TIMES,
    not_before=TIMES,
    gone_since=TIMES,
    queue_timeout=BUDGETS,
    run_timeout=BUDGETS,
    running=TIMES,
    cancel_asked=TIMES,
    cancel_code=st.just("") | NAMES,
    rest=UNKNOWN,
)


@given(written=PROGRESSES)
def test_progress_survives_as_metadata_also_what_a_newer_version_wrote(written: Progress) -> None:
    metadata = written.metadata()
    assert Progress.from_metadata(metadata) == written
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in metadata)
    assert all(value and value.isascii() for value in metadata.values())


def test_what_is_not_known_takes_no_room_in_the_metadata() -> None:
    assert progress(State.PENDING).metadata() == {
        "schema": "1",
        "state": "pending",
        "nonce": "n1",
        "route": "files",
        "endpoint": "classifier",
        "attempt": "1",
    }


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        progress().metadata() | {"state": "dreaming"},
        progress().metadata() | {"attempt": "second"},
        progress().metadata() | {"submitted": "yesterday"},
        progress().metadata() | {"submitted": "2026-11-24T12:00:00"},
    ],
    ids=["nothing", "state", "number", "time", "time without a zone"],
)
def test_metadata_that_is_no_progress_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        Progress.from_metadata(metadata)


def test_a_job_that_nobody_has_claimed_begins_with_its_first_attempt() -> None:
    made = first_progress(job(), State.SUBMITTING, "n1")
    assert made == progress(State.SUBMITTING, landed=NOW)
    assert (made.attempt, made.lost_attempts) == (1, ())
    assert first_progress(job(of=route(receipt=True)), State.PENDING, "n1").receipt


def test_a_progress_carries_the_time_budgets_of_its_route() -> None:
    """Poll sees them in its listing: it need not read the job for each question."""
    budgets = {"queue_timeout": timedelta(hours=1), "run_timeout": timedelta(days=2)}
    made = first_progress(job(of=route(**budgets)), State.SUBMITTING, "n1")
    assert budgets.items() <= msgspec.structs.asdict(made).items()


def full_progress() -> Progress:
    """Return a progress with every field that an attempt leaves behind."""
    return progress(
        attempt=2,
        lost="1",
        deployment="blue",
        folder_digest="0f",
        files=2,
        size=20,
        landed=NOW,
        max_active=3,
        refused_since=NOW,
        not_before=NOW,
        gone_since=NOW,
        queue_timeout=timedelta(hours=1),
        run_timeout=timedelta(hours=2),
        running=NOW,
        cancel_asked=NOW,
        cancel_code="run-timeout",
        rest={"new": "1"},
    )


def test_a_lost_attempt_is_remembered_and_the_next_one_starts_afresh() -> None:
    again = full_progress().next_attempt(lost=True)
    assert (again.state, again.attempt, again.lost_attempts) == (State.PENDING, 3, (1, 2))
    assert again.batch_job == ""
    assert {again.submitted, again.gone_since, again.refused_since, again.not_before} == {None}
    assert (again.running, again.cancel_asked, again.cancel_code) == (None, None, "")
    assert (again.queue_timeout, again.run_timeout) == (timedelta(hours=1), timedelta(hours=2))
    assert again.rest == {"new": "1"}


def test_a_failed_attempt_is_not_a_lost_one() -> None:
    again = full_progress().next_attempt(lost=False)
    assert (again.attempt, again.lost_attempts) == (3, (1,))
