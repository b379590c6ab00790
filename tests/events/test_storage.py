"""What events tell: payloads as Azure sends them, and as it does not."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.errors import UnreadableMessage
from scoring.events.storage import COMMITTING_APIS, Ignored, Renamed, read_message
from scoring.jobs.landing import Landing, normal_etag

PAYLOADS = Path(__file__).parent.parent / "payloads"
PATIENTS = Landing(
    account="landingzone",
    container="landings",
    path="heart/patients.csv",
    etag="0x8DF0C2A91B3E570",
    size=4096,
    landed=datetime(2026, 11, 24, 8, 15, 30, 123457, tzinfo=UTC),
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def payload(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))
    return document


def changed(name: str = "event-grid-put-blob", **fields: Any) -> dict[str, Any]:
    """Return a payload with other fields; those of its data in `data`."""
    event = payload(name)
    return {**event, **fields, "data": {**event["data"], **fields.get("data", {})}}


def message(document: Any) -> bytes:
    return json.dumps(document).encode()


def told_by(document: Any) -> Landing | Renamed | Ignored | UnreadableMessage:
    (told,) = read_message(message(document))
    return told


# --- landings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "event-grid-put-blob",
        "event-grid-put-block-list",
        "event-grid-copy-blob",
        "event-grid-flush-with-close",
        "cloud-events-put-blob",
        "cloud-events-flush-with-close",
    ],
)
def test_a_committed_blob_is_the_same_landing_in_every_schema_and_from_every_api(name: str) -> None:
    assert told_by(payload(name)) == PATIENTS


@pytest.mark.parametrize("name", ["event-grid-sftp-commit", "cloud-events-sftp-commit"])
def test_a_commit_over_sftp_is_a_landing_though_its_event_may_say_that_it_is_empty(
    name: str,
) -> None:
    told = told_by(payload(name))
    assert isinstance(told, Landing)
    assert (told.path, told.size) == (PATIENTS.path, 0)


def test_every_committing_api_has_a_payload() -> None:
    apis = {payload(file.stem)["data"].get("api") for file in PAYLOADS.glob("*.json")}
    assert apis >= COMMITTING_APIS


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("event-grid-create-file", "api CreateFile"),
        ("event-grid-sftp-create", "api SftpCreate"),
        ("event-grid-blob-deleted", "event type Microsoft.Storage.BlobDeleted"),
        ("cloud-events-blob-deleted", "event type Microsoft.Storage.BlobDeleted"),
        ("event-grid-blob-tier-changed", "event type Microsoft.Storage.BlobTierChanged"),
    ],
)
def test_an_event_that_commits_no_blob_is_ignored(name: str, reason: str) -> None:
    assert told_by(payload(name)) == Ignored(path="heart/patients.csv", reason=reason)


@pytest.mark.parametrize(
    ("name", "path", "directory"),
    [
        ("event-grid-blob-renamed", "heart/patients.csv", False),
        ("event-grid-directory-renamed", "heart", True),
    ],
)
def test_a_rename_tells_the_new_path(name: str, path: str, *, directory: bool) -> None:
    told = told_by(payload(name))
    assert isinstance(told, Renamed)
    assert (told.account, told.container) == ("landingzone", "landings")
    assert (told.path, told.directory) == (path, directory)


def test_a_rename_whose_subject_has_lost_characters_is_read_from_its_url() -> None:
    event = changed(
        "event-grid-blob-renamed",
        subject="/blobServices/default/containers/landings/blobs/\ufffd.csv",
        data={"destinationUrl": "https://a.dfs.core.windows.net/landings/%F0%9F%99%82.csv"},
    )
    told = told_by(event)
    assert isinstance(told, Renamed)
    assert told.path == "🙂.csv"


def test_an_event_about_no_blob_is_ignored() -> None:
    event = payload("event-grid-subscription-validation")
    assert told_by(event) == Ignored(path="", reason=f"event type {event['eventType']}")


def test_an_api_not_yet_invented_is_ignored() -> None:
    assert told_by(changed(data={"api": "PutDream"})) == Ignored(
        path="heart/patients.csv", reason="api PutDream"
    )


@pytest.mark.parametrize("quoted", ["0x1", '"0x1"', 'W/"0x1"'])
def test_an_etag_is_kept_without_its_quotes(quoted: str) -> None:
    assert normal_etag(quoted) == "0x1"


def test_times_are_kept_in_utc() -> None:
    told = told_by(changed(eventTime="2026-11-24T10:00:00+02:00"))
    assert isinstance(told, Landing)
    assert told.landed.isoformat() == "2026-11-24T08:00:00+00:00"


def test_the_account_is_the_topics_in_lower_case() -> None:
    topic = payload("event-grid-put-blob")["topic"].replace("landingzone", "LandingZone")
    told = told_by(changed(topic=topic))
    assert isinstance(told, Landing)
    assert told.account == "landingzone"


# --- paths --------------------------------------------------------------------------------------

PATHS = st.text(min_size=1).filter(lambda path: "\ufffd" not in path) | st.sampled_from(
    [
        ".",
        "..",
        "a/../b",
        "a\\b",
        "a%2Fb",
        "a b.csv",
        "a//b",
        "/a",
        "a/",
        "🫀/🧑‍⚕️.csv",
        "a\nb",
        "{key}",
    ]
)


@given(path=PATHS)
def test_the_path_is_the_subjects_whatever_it_holds(path: str) -> None:
    told = told_by(changed(subject=f"/blobServices/default/containers/c/blobs/{path}"))
    assert isinstance(told, Landing)
    assert (told.container, told.path) == ("c", path)


def test_characters_that_the_subject_has_lost_are_in_the_url() -> None:
    """Subjects have been seen with characters outside the BMP lost; then the url is right."""
    told = told_by(payload("event-grid-lost-characters"))
    assert isinstance(told, Landing)
    assert told.path == "heart/🫀/patients.csv"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://landingzone.blob.core.windows.net/landings/%F0%9F%AB%80", "🫀"),
        ("https://landingzone.dfs.core.windows.net/landings/a%2Fb%3Fc%23d", "a/b?c#d"),
        ("https://landingzone.blob.core.windows.net/landings/%EF%BF%BD", "\ufffd"),
        ("http://localhost:10000/landingzone/landings/%F0%9F%AB%80", "🫀"),
    ],
)
def test_a_url_is_decoded_once_whatever_host_it_names(url: str, path: str) -> None:
    told = told_by(changed("event-grid-lost-characters", data={"url": url}))
    assert isinstance(told, Landing)
    assert told.path == path


def test_a_container_whose_name_begins_like_the_account_is_told_from_it() -> None:
    told = told_by(
        changed(
            subject="/blobServices/default/containers/landingzone2/blobs/\ufffd",
            data={"url": "https://landingzone.blob.core.windows.net/landingzone2/%F0%9F%AB%80"},
        )
    )
    assert isinstance(told, Landing)
    assert told.path == "🫀"


def test_a_url_of_another_container_is_not_believed() -> None:
    url = "https://landingzone.blob.core.windows.net/elsewhere/a.csv"
    assert isinstance(
        told_by(changed("event-grid-lost-characters", data={"url": url})), UnreadableMessage
    )


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        message(payload("event-grid-put-blob")),
        base64.b64encode(message(payload("event-grid-put-blob"))),
        b"\n " + message([payload("cloud-events-put-blob")]) + b"\n",
        base64.b64encode(message([payload("cloud-events-put-blob")])),
    ],
    ids=["JSON", "base64", "array", "array in base64"],
)
def test_a_message_is_json_or_base64_of_it_one_event_or_an_array(body: bytes) -> None:
    assert list(read_message(body)) == [PATIENTS]


def test_an_event_that_cannot_be_understood_does_not_stop_its_neighbours() -> None:
    good = payload("event-grid-put-blob")
    first, second, third = read_message(message([good, {"odd": True}, good]))
    assert first == third == PATIENTS
    assert isinstance(second, UnreadableMessage)


UNREADABLE = {
    "no account": changed(topic="/subscriptions/5d1f0c1e"),
    "a line break after the account": changed(topic="/storageAccounts/landingzone\n"),
    "no blob": changed(subject="/blobServices/default/containers/landings"),
    "a blob without a name": changed(subject="/blobServices/default/containers/landings/blobs/"),
    "a time without a zone": changed(eventTime="2026-11-24T08:15:30"),
    "a time before all times": changed(eventTime="0001-01-01T00:00:00+14:00"),
    "a size as text": changed(data={"contentLength": "4096"}),
    "no ETag": changed(data={"eTag": None}),
    "half an address": changed("event-grid-lost-characters", data={"url": "https://[::1"}),
    "no data": {**changed(), "data": None},
    "data as text": {**changed(), "data": "PutBlob"},
}


@pytest.mark.parametrize("event", UNREADABLE.values(), ids=UNREADABLE)
def test_a_landing_that_cannot_be_understood_is_told_as_unreadable(event: dict[str, Any]) -> None:
    assert isinstance(told_by(event), UnreadableMessage)


def check_told(body: bytes) -> Sequence[Landing | Renamed | Ignored | UnreadableMessage]:
    told = list(read_message(body))
    assert all(isinstance(one, Landing | Renamed | Ignored | UnreadableMessage) for one in told)
    return told


@given(body=st.binary())
def test_no_bytes_make_the_parser_raise(body: bytes) -> None:
    check_told(body)


@given(document=JSON)
def test_no_json_makes_the_parser_raise(document: Any) -> None:
    told = check_told(message(document))
    assert len(told) == (len(document) if isinstance(document, list) else 1)
    assert check_told(base64.b64encode(message(document))) or document == []


@given(
    name=st.sampled_from(["event-grid-put-blob", "cloud-events-put-blob"]),
    fields=st.dictionaries(
        st.sampled_from([*changed(), *payload("cloud-events-put-blob")]), JSON, max_size=2
    ),
    data=st.dictionaries(st.sampled_from([*changed()["data"]]), JSON, max_size=2),
)
def test_no_odd_field_makes_the_parser_raise(
    name: str, fields: dict[str, Any], data: dict[str, Any]
) -> None:
    event = payload(name)
    check_told(message({**event, "data": {**event["data"], **data}, **fields}))


@pytest.mark.parametrize("depth", [500, 985, 990, 1_000, 100_000])
def test_no_depth_makes_the_parser_raise(depth: int) -> None:
    body = message(changed(data={"deep": 0})).replace(
        b'"deep": 0', b'"deep": ' + b"[" * depth + b"]" * depth
    )
    assert len(check_told(body)) == 1
