"""What events tell: payloads as Azure sends them, and as it does not."""

import base64
import codecs
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.errors import UnreadableMessage
from scoring.events.storage import (
    COMMITTING_APIS,
    DirectoryRenamed,
    Event,
    Ignored,
    PartialLanding,
    read_message,
)
from scoring.jobs.landing import Landing, normal_etag
from scoring.uris import has_dot_segment

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


def told_by(document: Any) -> Event | UnreadableMessage:
    (told,) = read_message(message(document))
    return told


def partly(**fields: Any) -> PartialLanding:
    """Return the landing of `PATIENTS` as far as an event told of it."""
    known = {
        name: getattr(PATIENTS, name) for name in ("account", "container", "path", "etag", "landed")
    }
    return PartialLanding(**{**known, **fields})


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
def test_a_commit_over_sftp_is_a_landing_whose_size_is_looked_up(name: str) -> None:
    """Its documented event says that it is empty."""
    assert told_by(payload(name)) == partly()


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
    ("name", "path", "kind"),
    [
        ("event-grid-blob-renamed", "heart/patients.csv", PartialLanding),
        ("event-grid-directory-renamed", "heart", DirectoryRenamed),
    ],
)
def test_a_rename_tells_the_new_path(name: str, path: str, kind: type) -> None:
    told = told_by(payload(name))
    assert isinstance(told, PartialLanding | DirectoryRenamed)
    assert isinstance(told, kind)
    assert (told.account, told.container) == ("landingzone", "landings")
    assert (told.path, told.landed) == (path, PATIENTS.landed)


def test_a_rename_whose_subject_has_lost_characters_is_read_from_its_url() -> None:
    event = changed(
        "event-grid-blob-renamed",
        subject="/blobServices/default/containers/landings/blobs/\ufffd.csv",
        data={"destinationUrl": "https://a.dfs.core.windows.net/landings/%F0%9F%99%82.csv"},
    )
    told = told_by(event)
    assert isinstance(told, PartialLanding)
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


BLOBS = "/blobServices/default/containers/c/blobs/"


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
    assume(not has_dot_segment(path))
    told = told_by(changed(subject=f"{BLOBS}{path}"))
    assert isinstance(told, Landing)
    assert (told.container, told.path) == ("c", path)


@pytest.mark.parametrize(
    "path", ["a/../../secret/b.csv", "a/./b.csv", "..", "a/%2e%2e/b", "a/%252E./b", "a\\..\\b"]
)
@pytest.mark.parametrize(
    "name", ["event-grid-put-blob", "event-grid-blob-renamed", "event-grid-directory-renamed"]
)
def test_a_path_that_is_read_as_another_is_no_landing(name: str, path: str) -> None:
    """It cannot be looked at: the client would ask for the other one."""
    told = told_by(changed(name, subject=f"{BLOBS}{path}"))
    assert told == Ignored(path=path, reason="dot-segment")


def test_a_url_cannot_lead_out_of_the_container() -> None:
    event = changed(
        subject=f"{BLOBS}\ufffd\ufffd/a.csv",
        data={"url": "https://landingzone.blob.core.windows.net/c/%2E./a.csv"},
    )
    assert isinstance(told_by(event), UnreadableMessage), "neither dots nor slashes are ever lost"


@pytest.mark.parametrize(("size", "directory"), [(0, True), (1, False)])
def test_an_empty_blob_whose_name_ends_in_a_slash_stands_for_a_directory(
    size: int, *, directory: bool
) -> None:
    told = told_by(changed(subject=f"{BLOBS}a/", data={"contentLength": size}))
    assert (told == Ignored(path="a/", reason="directory")) == directory
    assert isinstance(told, Landing) != directory


# --- lost characters ----------------------------------------------------------------------------


def lost(path: str, url: str) -> Event | UnreadableMessage:
    """Return what an event tells whose subject has this path."""
    event = changed("event-grid-lost-characters", data={"url": url})
    root = event["subject"].partition("/blobs/")[0]
    return told_by({**event, "subject": f"{root}/blobs/{path}"})


def test_characters_that_the_subject_has_lost_are_in_the_url() -> None:
    """Subjects have been seen with characters outside the BMP lost; then the url is right."""
    told = told_by(payload("event-grid-lost-characters"))
    assert isinstance(told, Landing)
    assert told.path == "heart/🫀/patients.csv"


SITE = "https://landingzone.blob.core.windows.net/landings/"
DFS = "https://landingzone.dfs.core.windows.net/landings/"


@pytest.mark.parametrize(
    ("subject", "url", "path"),
    [
        ("\ufffd", SITE + "%F0%9F%AB%80", "🫀"),
        ("\ufffd\ufffd", SITE + "%F0%9F%AB%80", "🫀"),
        ("\ufffd-\ufffd\ufffd.csv", SITE + "🫀-🙂.csv", "🫀-🙂.csv"),
        ("\ufffd\ufffd\ufffd", SITE + "🫀🙂", "🫀🙂"),
        ("a/\ufffd?c#d", DFS + "a%2F%F0%9F%AB%80%3Fc%23d", "a/🫀?c#d"),
        ("\ufffd", SITE + "%EF%BF%BD", "\ufffd"),
        ("\ufffd", "http://localhost:10000/landingzone/landings/%F0%9F%AB%80", "🫀"),
        # not escaped
        ("\ufffd#1.csv", SITE + "%F0%9F%AB%80#1.csv", "🫀#1.csv"),
        ("\ufffd?.csv", SITE + "%F0%9F%AB%80?.csv", "🫀?.csv"),
        ("\ufffd?#?.csv", SITE + "🫀?#?.csv", "🫀?#?.csv"),
        ("\ufffd 100%.csv", SITE + "🫀 100%.csv", "🫀 100%.csv"),
        ("\ufffd%41.csv", SITE + "🫀%41.csv", "🫀%41.csv"),
        # followed by what is no part of it
        ("\ufffd.csv", SITE + "%F0%9F%AB%80.csv?snapshot=1#x", "🫀.csv"),
        ("\ufffd?.csv", SITE + "🫀?.csv#x", "🫀?.csv"),
    ],
)
def test_the_reading_of_a_url_counts_that_fits_the_subject(
    subject: str, url: str, path: str
) -> None:
    told = lost(subject, url)
    assert isinstance(told, Landing)
    assert told.path == path


@pytest.mark.parametrize(
    ("subject", "url"),
    [
        ("a\ufffd.csv", SITE + "b%F0%9F%AB%80.csv"),
        ("a\ufffd#1.csv", SITE + "a%F0%9F%AB%80"),
        ("a\ufffd", SITE + "a%F0%9F%AB%80.csv"),
        ("\ufffd\ufffd\ufffd", SITE + "%F0%9F%AB%80"),
        ("\ufffd\ufffd", SITE + "a"),
        ("a\ufffdb.csv", SITE + "a/b.csv"),
        ("\ufffd", SITE),
        ("\ufffd", SITE + "%F0%9F"),
        ("\ufffd", "https://landingzone.blob.core.windows.net/elsewhere/%F0%9F%AB%80"),
        ("\ufffd", "https://[::1"),
        ("\ufffd", "%F0%9F%AB%80"),
    ],
)
def test_a_url_that_does_not_fit_the_subject_is_not_believed(subject: str, url: str) -> None:
    """Else another file than the one that landed is scored and announced."""
    told = lost(subject, url)
    assert isinstance(told, UnreadableMessage)
    assert "lost characters" in str(told)


def test_half_a_character_is_a_lost_one() -> None:
    told = lost("\ud83e.csv", SITE + "%F0%9F%AB%80.csv")
    assert isinstance(told, Landing)
    assert told.path == "🫀.csv"


@given(path=st.text("a#?%/🫀🙂é", min_size=1), data=st.data(), escaped=st.booleans())
def test_a_path_is_found_again_whichever_halves_of_its_characters_were_lost(
    path: str, data: st.DataObject, *, escaped: bool
) -> None:
    left = [
        data.draw(st.sampled_from(["\ufffd", "\ufffd\ufffd"])) if one > "\uffff" else one
        for one in path
    ]
    assume(not escaped or path == unquote(path))
    told = lost("".join(left), SITE + (quote(path) if escaped else path))
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


# --- messages -----------------------------------------------------------------------------------


PUT = message(payload("event-grid-put-blob"))
PUT_AND_MORE = message([payload("cloud-events-put-blob")])
BASE64 = base64.b64encode(PUT)
# Encoded, it has both characters in which the alphabets differ.
ODD = json.dumps(payload("event-grid-put-blob") | {"id": "ü??>>~~"}, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        PUT,
        b"\n " + PUT_AND_MORE + b"\n",
        BASE64,
        base64.b64encode(PUT_AND_MORE),
        base64.urlsafe_b64encode(ODD),
        base64.b64encode(ODD),
        base64.b64encode(PUT + b" ").rstrip(b"="),
        base64.b64encode(PUT + b"  ").rstrip(b"="),
        BASE64 + b"===",
        base64.encodebytes(PUT),
        base64.encodebytes(PUT).replace(b"\n", b"\r\n"),
        b" " + BASE64 + b"\t\n",
        codecs.BOM_UTF8 + PUT,
        b"\n" + codecs.BOM_UTF8 + PUT,
        codecs.BOM_UTF8 + BASE64,
        base64.b64encode(codecs.BOM_UTF8 + PUT),
        PUT.decode().encode("utf-16"),
        base64.b64encode(PUT.decode().encode("utf-16-le")),
    ],
    ids=[
        "JSON",
        "array",
        "base64",
        "array in base64",
        "base64 for URLs",
        "base64 with + and /",
        "base64 without one =",
        "base64 without two =",
        "base64 with = to spare",
        "base64 in lines",
        "base64 in lines of Windows",
        "base64 among blanks",
        "byte order mark",
        "byte order mark after a blank",
        "byte order mark before base64",
        "byte order mark in base64",
        "UTF-16",
        "UTF-16 in base64",
    ],
)
def test_a_message_is_json_or_base64_of_it_one_event_or_an_array(body: bytes) -> None:
    assert list(read_message(body)) == [PATIENTS]


def test_the_alphabets_of_base64_differ_in_what_is_tested() -> None:
    assert {"-", "_"} <= set(base64.urlsafe_b64encode(ODD).decode())


def test_an_event_that_cannot_be_understood_does_not_stop_its_neighbours() -> None:
    good = payload("event-grid-put-blob")
    first, second, third = read_message(message([good, {"odd": True}, good]))
    assert first == third == PATIENTS
    assert isinstance(second, UnreadableMessage)


# --- what is not needed -------------------------------------------------------------------------

ODD_VALUES: list[object] = [None, "", "4096", 4096.0, -1, True, [], {}, "\ud83d", 10**30]


@pytest.mark.parametrize(
    "kind",
    [
        "Microsoft.Storage.LifecyclePolicyCompleted",
        "Microsoft.Storage.BlobInventoryPolicyCompleted",
        "Contoso.Anything",
        "",
    ],
)
@pytest.mark.parametrize("odd", [*ODD_VALUES, "2022-05-26T00:00:40.1880331"])
@pytest.mark.parametrize("names", [("eventType", "eventTime", "topic"), ("type", "time", "source")])
def test_what_is_neither_a_creation_nor_a_rename_is_ignored_whatever_else_it_holds(
    kind: str, odd: object, names: tuple[str, str, str]
) -> None:
    """The documented event of a lifecycle policy has a time without a zone."""
    of_type, time, source = names
    event = {of_type: kind, time: odd, source: odd, "subject": odd, "data": odd}
    told = told_by(event)
    assert isinstance(told, Ignored)
    assert told.reason == f"event type {kind}"
    assert isinstance(told_by({of_type: kind}), Ignored)


@pytest.mark.parametrize("api", ["CreateFile", "SftpCreate"])
@pytest.mark.parametrize("odd", ODD_VALUES)
def test_a_creation_that_commits_nothing_is_ignored_whatever_else_it_holds(
    api: str, odd: object
) -> None:
    data = {"api": api, "eTag": odd, "contentLength": odd, "url": odd}
    told = told_by(changed(data=data, eventTime=odd, topic=odd))
    assert told == Ignored(path=PATIENTS.path, reason=f"api {api}")


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_a_size_that_is_none_is_looked_up(odd: object) -> None:
    assert told_by(changed(data={"contentLength": odd})) == partly()


@pytest.mark.parametrize(
    "odd", [None, "", '""', 7, [], {}, "\ud83d", "two words", "ä", "x" * 1_000]
)
def test_an_etag_that_is_none_is_looked_up(odd: object) -> None:
    assert told_by(changed(data={"eTag": odd})) == partly(etag="")


@pytest.mark.parametrize(
    "odd",
    [
        *ODD_VALUES,
        "2026-11-24T08:15:30",
        "yesterday",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_is_none_is_looked_up(odd: object) -> None:
    assert told_by(changed(eventTime=odd)) == partly(landed=None)
    renamed = told_by(changed("event-grid-blob-renamed", eventTime=odd))
    assert renamed == partly(etag="", landed=None)


@pytest.mark.parametrize("name", ["event-grid-put-blob", "cloud-events-put-blob"])
def test_what_is_not_needed_may_be_left_out(name: str) -> None:
    event = payload(name)
    data = {"api": "PutBlob"}
    needed = ("topic", "source", "subject", "eventType", "type", "specversion")
    least = {field: value for field, value in event.items() if field in needed}
    assert told_by({**least, "data": data}) == partly(etag="", landed=None)


@pytest.mark.parametrize("odd", [1e400, float("nan"), 10**400, "\ud83d", [[[]]]])
def test_what_is_not_needed_may_be_anything(odd: object) -> None:
    data = {"url": odd, "blobType": odd, "storageDiagnostics": odd, "surprise": odd}
    assert told_by(changed(data=data, id=odd, surprise=odd)) == PATIENTS


def test_a_number_of_thousands_of_digits_does_not_keep_an_event_from_being_read() -> None:
    body = PUT.replace(b"4096", b"9" * 5_000)
    assert list(read_message(body)) == [partly()]


UNREADABLE = {
    "no account": changed(topic="/subscriptions/5d1f0c1e"),
    "a line break after the account": changed(topic="/storageAccounts/landingzone\n"),
    "no topic": changed(topic=None),
    "no subject": changed(subject=None),
    "no blob": changed(subject="/blobServices/default/containers/landings"),
    "a blob without a name": changed(subject="/blobServices/default/containers/landings/blobs/"),
    "no type": changed(eventType=None),
    "a type that is none": changed(eventType=["Microsoft.Storage.BlobCreated"]),
    "a topic of 64 KiB": changed(topic="x" * 65_536),
    "lost characters and no url": changed("event-grid-lost-characters", data={"url": None}),
    "no api": changed(data={"api": None}),
    "no data": {**changed(), "data": None},
    "data as text": {**changed(), "data": "PutBlob"},
}


@pytest.mark.parametrize("event", UNREADABLE.values(), ids=UNREADABLE)
def test_a_landing_that_cannot_be_understood_is_told_as_unreadable(event: dict[str, Any]) -> None:
    told = told_by(event)
    assert isinstance(told, UnreadableMessage)
    assert len(str(told)) <= 2_000


def check_told(body: bytes) -> Sequence[Event | UnreadableMessage]:
    told = list(read_message(body))
    assert all(isinstance(one, Event | UnreadableMessage) for one in told)
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
