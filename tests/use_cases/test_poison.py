"""Messages that on_landing gave up: taken once more, stuck, or in quarantine. None is lost."""

import asyncio
import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.concurrency import AT_ONCE
from scoring.errors import SetupError, Unavailable, UnreadableMessage
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.jobs.job import job_for
from scoring.jobs.landing import Landing
from scoring.use_cases import on_landing, on_poison
from tests.events.completion_events import check_quarantine_event
from tests.factories import created, landing, route
from tests.fakes import PLACE, World, host

HEART = route(name="heart", match="landing/heart/**")
FILE = "landing/heart/a.csv"
UNREADABLE = b"no event"


def message(*documents: Any) -> bytes:
    """Return a message of one event, or of an array of them."""
    return json.dumps(documents[0] if len(documents) == 1 else documents).encode()


def put(world: World, path: str = FILE) -> dict[str, Any]:
    """Let a blob land; return its event, which is delivered to nobody."""
    return created(world.landing(world.storage.put(path)))


def kept_as(world: World, which: DeadLetterKind) -> list[DeadLetter]:
    return [kept for _, kept in world.kept.messages.values() if kept.kind is which]


def scored(world: World) -> list[str]:
    uris = (submission.input_uri for submission in world.endpoints.submissions)
    return [uri.partition("/paths/")[2] for uri in uris]


def failing(error: Exception) -> Any:
    """Return what a broken service does in place of any of its methods."""

    async def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


# --- understood ---------------------------------------------------------------------------------


async def test_a_message_that_works_now_is_taken_and_not_kept() -> None:
    world = World(HEART)
    await on_poison.on_poison(world.services, message(put(world)))
    assert scored(world) == [FILE]
    assert world.kept.messages == {}
    assert world.publisher.published == []


@pytest.mark.parametrize(
    "failure", [Unavailable("503"), SetupError("no role"), RuntimeError("a bug")], ids=repr
)
async def test_while_a_service_is_down_a_message_is_stuck_and_not_announced(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(HEART)
    told = message(put(world))
    world.workspace.failure = failure
    await on_poison.on_poison(world.services, told)
    await on_poison.on_poison(world.services, told)
    (kept,) = kept_as(world, DeadLetterKind.STUCK)
    assert (await world.kept.message(kept), kept.reason) == (
        told,
        f"{type(failure).__name__}: {failure}",
    )
    assert f"stuck digest={kept.digest}" in caplog.text
    assert world.publisher.published == []
    assert kept_as(world, DeadLetterKind.QUARANTINE) == []


async def test_each_sweep_tries_a_stuck_message_until_it_is_taken_once() -> None:
    world = World(HEART)
    world.workspace.failure = Unavailable("503")
    await on_poison.on_poison(world.services, message(put(world)))
    await on_poison.go_on(world.services)
    assert len(kept_as(world, DeadLetterKind.STUCK)) == 1
    world.workspace.failure = None
    for _ in range(3):
        await world.sweep()
    assert world.kept.messages == {}
    await world.tick()
    world.complete("batchjob-1")
    await world.ticks(timedelta(minutes=1))
    assert scored(world) == [FILE]
    assert world.publisher.ends == [("completed", None)]


async def test_the_sweep_leaves_it_to_poll_to_submit_what_was_stuck() -> None:
    """A POST that a sweep's end cuts would be an unclear one."""
    world = World(HEART)
    world.workspace.failure = Unavailable("503")
    await on_poison.on_poison(world.services, message(put(world)))
    world.workspace.failure = None
    await on_poison.go_on(world.services)
    assert (scored(world), len(world.ledger.open)) == ([], 1)


async def test_one_stuck_message_does_not_stop_the_others_nor_the_sweep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HEART)
    await world.sweep()
    world.workspace.failure = Unavailable("503")
    for name in "abc":
        await on_poison.on_poison(world.services, message(put(world, f"landing/heart/{name}")))
    world.workspace.failure = None
    drop = world.kept.drop

    async def sometimes(kept: DeadLetter) -> None:
        if kept is kept_as(world, DeadLetterKind.STUCK)[0]:
            raise Unavailable("503")
        await drop(kept)

    world.kept.drop = sometimes  # type: ignore[method-assign]
    put(world, "landing/heart/d")
    await world.sweep()
    assert len(world.ledger.open) == 4
    assert len(kept_as(world, DeadLetterKind.STUCK)) == 1
    assert 'sweep-error shelf=stuck error="Unavailable: 503"' in caplog.text


async def test_a_sweep_goes_on_though_kept_messages_use_up_their_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HEART)
    world.workspace.failure = Unavailable("503")
    for number in range(AT_ONCE + 1):
        await on_poison.on_poison(world.services, message(put(world, f"landing/heart/{number}")))
    world.workspace.failure = None
    world.kept.message = lambda _: asyncio.Event().wait()  # type: ignore[method-assign,assignment,return-value]
    moment = timedelta(milliseconds=10)
    world.services = msgspec.structs.replace(
        world.services,
        timing=msgspec.structs.replace(world.services.timing, deadline=moment),
    )
    await world.sweep()
    assert "sweep-cut" in caplog.text
    assert len(kept_as(world, DeadLetterKind.STUCK)) == AT_ONCE + 1
    assert set(world.marks.sweeps) == {"heart"}


# --- not understood -----------------------------------------------------------------------------


async def test_what_cannot_be_understood_is_kept_as_it_arrived_and_announced_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(HEART)
    for _ in range(2):  # poison is sometimes doubled
        await on_poison.on_poison(world.services, UNREADABLE)
        await world.sweep()
    (event,) = world.publisher.events
    check_quarantine_event(event)
    digest = hashlib.sha256(UNREADABLE).hexdigest()
    assert event["data"]["message"] == digest
    body, kept = world.kept.messages[event["data"]["entry"]]
    assert body == UNREADABLE
    assert kept.reason == event["data"]["reason"]["message"]
    assert caplog.text.count(f"quarantined digest={digest}") == 1


async def test_what_could_not_be_announced_the_next_sweep_announces_with_the_same_bytes() -> None:
    world = World(HEART)
    mark = world.kept.mark_announced
    world.kept.mark_announced = failing(Unavailable("503"))  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await on_poison.on_poison(world.services, UNREADABLE)
    world.kept.mark_announced = mark  # type: ignore[method-assign]
    world.publisher.refuses = True
    await world.sweep()
    assert len(world.publisher.published) == 1
    world.publisher.refuses = False
    world.services = host(world.services, version="2.0.0")
    for _ in range(2):
        await world.sweep()
    first, second = world.publisher.published
    assert first == second


@pytest.mark.parametrize("claims", [True, False])
async def test_while_the_ledger_is_down_the_message_stays_with_the_platform(
    *, claims: bool
) -> None:
    world = World(HEART)
    told = message(put(world), {"odd": True})
    claim, keep = world.ledger.claim, world.kept.keep
    if not claims:
        world.ledger.claim = failing(Unavailable("503"))  # type: ignore[method-assign]
    world.kept.keep = failing(Unavailable("503"))  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await on_poison.on_poison(world.services, told)
    assert (world.publisher.published, world.kept.messages) == ([], {})
    world.ledger.claim, world.kept.keep = claim, keep  # type: ignore[method-assign]
    await on_poison.on_poison(world.services, told)
    assert scored(world) == [FILE]
    assert [kept.announced for kept in kept_as(world, DeadLetterKind.QUARANTINE)] == [True]
    assert kept_as(world, DeadLetterKind.STUCK) == []


async def test_a_good_event_beside_a_bad_one_is_taken_and_the_whole_message_is_kept() -> None:
    world = World(HEART)
    told = message({"odd": True}, put(world), created(landing(etag="")))
    await on_poison.on_poison(world.services, told)
    assert scored(world) == [FILE]
    ((body, kept),) = world.kept.messages.values()
    assert body == told
    assert kept.reason.count("not a storage event") == 2


async def test_a_message_may_be_stuck_and_in_quarantine_at_once() -> None:
    world = World(HEART)
    world.workspace.failure = Unavailable("503")
    await on_poison.on_poison(world.services, message({"odd": True}, put(world)))
    assert (len(kept_as(world, DeadLetterKind.STUCK)), len(world.publisher.published)) == (1, 1)
    world.workspace.failure = None
    await world.sweep()
    await world.tick()
    assert scored(world) == [FILE]
    assert [kept.kind for _, kept in world.kept.messages.values()] == [DeadLetterKind.QUARANTINE]
    assert len(world.publisher.published) == 1


async def test_a_reason_is_one_bounded_line_without_secrets() -> None:
    world = World(HEART)
    subject = "a\r\nb ?sig=secret&x " + "x" * 1_000
    await on_poison.on_poison(world.services, message(created(landing(), subject=subject)))
    ((_, kept),) = world.kept.messages.values()
    assert len(kept.reason) == 500
    assert kept.reason.isprintable()
    assert "sig=***" in kept.reason
    assert b"secret" not in world.publisher.published[0]


# --- every kind of malformed message ------------------------------------------------------------

A_LANDING = Landing(
    **{
        **msgspec.structs.asdict(landing(FILE)),
        "account": PLACE.account,
        "container": PLACE.container,
    }
)
GOOD = created(A_LANDING)
DEEP = 32_000

KINDS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "quarantined"),
    "text": (b"hello", "quarantined"),
    "half a document": (message(GOOD)[:-1], "quarantined"),
    "two documents": (message(GOOD) * 2, "quarantined"),
    "base64 that is none": (base64.b64encode(message(GOOD))[:-3] + b"!", "quarantined"),
    "base64 of no JSON": (base64.b64encode(b"hello"), "quarantined"),
    "base64 of base64": (base64.b64encode(base64.b64encode(message(GOOD))), "quarantined"),
    "bytes that are no text": (b"\xff\xfe\x00", "quarantined"),
    "UTF-16": (message(GOOD).decode().encode("utf-16"), "quarantined"),
    "null": (b"null", "quarantined"),
    "a number": (b"1", "quarantined"),
    "an empty object": (b"{}", "quarantined"),
    "an array of arrays": (message([GOOD], [GOOD]), "quarantined"),
    "64 KiB of nesting": (b"[" * DEEP + b"]" * DEEP, "quarantined"),
    "64 KiB of nesting in an event": (
        message({**GOOD, "extra": 0}).replace(
            b'"extra": 0', b'"extra":' + b"[" * DEEP + b"]" * DEEP
        ),
        "quarantined",
    ),
    "an empty array": (b"[]", ""),
    "another account": (message(created(landing(FILE, account="elsewhere"))), "ignored"),
    "another container": (message(created(landing(FILE, container="elsewhere"))), "ignored"),
    "no account": (message({**GOOD, "source": "/subscriptions/s"}), "quarantined"),
    "no blob": (message({**GOOD, "subject": "/blobServices"}), "quarantined"),
    "a subject that differs from the url": (
        message({**GOOD, "subject": GOOD["subject"].replace("heart", "liver")}),
        "ignored",
    ),
    "an unknown type": (message({**GOOD, "type": "Microsoft.Storage.BlobDreamt"}), "ignored"),
    "an unknown api": (message({**GOOD, "data": {**GOOD["data"], "api": "PutDream"}}), "ignored"),
    "another schema": (message({**GOOD, "specversion": 2, "data": None}), "quarantined"),
    "no ETag": (message({**GOOD, "data": {**GOOD["data"], "eTag": ""}}), "quarantined"),
    "a size below zero": (
        message({**GOOD, "data": {**GOOD["data"], "contentLength": -1}}),
        "quarantined",
    ),
    "a time that is none": (message({**GOOD, "time": "yesterday"}), "quarantined"),
}


@pytest.mark.parametrize(("told", "becomes"), KINDS.values(), ids=KINDS)
async def test_every_malformed_message_is_ignored_or_quarantined_and_the_next_is_unharmed(
    told: bytes, becomes: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = World(HEART)
    if becomes == "quarantined":
        with pytest.raises(UnreadableMessage):
            await on_landing.on_landing(world.services, told)
        await on_poison.on_poison(world.services, told)
    else:
        await on_landing.on_landing(world.services, told)
    kept = [entry.kind for _, entry in world.kept.messages.values()]
    assert kept == ([DeadLetterKind.QUARANTINE] if becomes == "quarantined" else [])
    assert ("ignored path=" in caplog.text) == (becomes == "ignored")
    assert len(world.publisher.published) == len(kept)
    assert world.ledger.open == {}
    good = put(world)
    await on_landing.on_landing(world.services, message(good))
    made = job_for(
        HEART,
        world.landing(world.storage.blobs[FILE]),
        PLACE,
        "literal",
    )
    assert list(world.ledger.open) == [made.key]
