"""A host dies at every single step, before the step's effect and after it; another one goes on.

The promises are checked against what the fakes saw, not against what the ledger believes.
"""

import collections
import contextlib
import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import Unavailable
from scoring.events.dead_letters import DeadLetterKind
from scoring.jobs.batch_job import ErrorAnswer, JobState, Unclear
from scoring.jobs.landing import Landing
from scoring.ports import Services
from scoring.routes.route import Ready
from scoring.use_cases import on_landing, on_poison, poll, sweep
from tests.factories import created, quiet_route, route
from tests.fakes import Method, Through, World, host

PORTS = ("ledger", "marks", "folders", "messages", "storage", "workspace", "endpoints", "publisher")
HEART = route(name="heart", max_attempts=2, queue_timeout=timedelta(minutes=5), receipt=True)
DIGITS = route(
    name="digits",
    match="landing/digits/{batch}/*.png",
    input="folder",
    ready=Ready(marker="landing/digits/{batch}.done"),
)
INBOX = quiet_route(
    name="inbox", match="landing/inbox/{batch}/*.png", minimum_gap=timedelta(minutes=2)
)
LIMITED = route(name="limited", match="landing/limited/*", max_active=1)
FILE = "landing/heart/a.csv"


class KilledError(BaseException):
    """The process is gone: nothing of it runs any more."""


class Mortal(Through):
    """A port through which a host dies at its n-th call, counted over all ports."""

    def __init__(self, port: object, death: "Death") -> None:
        super().__init__(port)
        self._death = death

    async def call(self, method: str, effect: Method, args: tuple[Any, ...]) -> Any:
        self._death.before()
        result = await effect(*args)
        self._death.after()
        return result


class Death:
    def __init__(self, at_call: int, *, after_effect: bool) -> None:
        self._left = at_call
        self._after_effect = after_effect
        self.came = False

    def before(self) -> None:
        self._left -= 1
        if self.came or (self._left == 0 and not self._after_effect):
            self.came = True
            raise KilledError

    def after(self) -> None:
        if self.came or (self._left <= 0 and self._after_effect):
            self.came = True
            raise KilledError

    def befalls(self, services: Services) -> Services:
        ports = {name: Mortal(getattr(services, name), self) for name in PORTS}
        return host(services, **ports)


Scenario = Callable[[World], Landing]


def a_file(world: World) -> Landing:
    return world.landing(world.storage.put(FILE))


def an_overwritten_file(world: World) -> Landing:
    old = a_file(world)
    world.storage.put(FILE)
    return old


def an_empty_file(world: World) -> Landing:
    return world.landing(world.storage.put(FILE, size=0))


def a_folder(world: World) -> Landing:
    world.storage.put("landing/digits/b1/1.png")
    return world.landing(world.storage.put("landing/digits/b1.done", size=0))


def a_folder_that_becomes_quiet(world: World) -> Landing:
    return world.landing(world.storage.put("landing/inbox/b1/1.png"))


def a_file_of_a_limited_route(world: World) -> Landing:
    return world.landing(world.storage.put("landing/limited/a.csv"))


def a_lost_answer(world: World) -> Landing:
    world.endpoints.answers = [lambda _: Unclear(message="lost")]
    return a_file(world)


def a_post_that_never_arrives(world: World) -> Landing:
    world.endpoints.answers = [Unclear(message="lost")]
    return a_file(world)


def a_throttled_one(world: World) -> Landing:
    world.endpoints.answers = [ErrorAnswer(status=429, message="slow", retry_after=30)]
    return a_file(world)


def a_failing_batch_job(world: World) -> Landing:
    world.endpoints.fails.add("batchjob-1")
    return a_file(world)


def a_batch_job_that_stays_queued(world: World) -> Landing:
    world.endpoints.stays.add("batchjob-1")
    return a_file(world)


SCENARIOS = [
    a_file,
    an_overwritten_file,
    an_empty_file,
    a_folder,
    a_folder_that_becomes_quiet,
    a_file_of_a_limited_route,
    a_lost_answer,
    a_post_that_never_arrives,
    a_throttled_one,
    a_failing_batch_job,
    a_batch_job_that_stays_queued,
]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_whenever_a_host_dies_the_promises_hold(
    scenario: Scenario, *, after_effect: bool
) -> None:
    deaths = 0
    for at_call in itertools.count(1):
        world = World(HEART, DIGITS, INBOX, LIMITED)
        landing = scenario(world)
        death = Death(at_call, after_effect=after_effect)
        await _live(world, landing, death)
        check_promises(world)
        if not death.came:
            break
        deaths += 1
    assert deaths > 8


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_late_duplicate_whose_host_dies_scores_nothing_twice(
    *, enabled: bool, after_effect: bool
) -> None:
    """The claim of a duplicate stands beside done/, and listings no longer show the batch job."""
    for at_call in itertools.count(1):
        world = World(HEART)
        landing = a_file(world)
        await _live(world, landing, Death(0, after_effect=False))
        world.endpoints.unlisted = set(world.endpoints.jobs)
        held = msgspec.structs.replace(HEART, enabled=enabled)
        death = Death(at_call, after_effect=after_effect)
        with contextlib.suppress(KilledError):
            mortal = msgspec.structs.replace(world.services, routes=[held])
            await on_landing.land(death.befalls(mortal), landing)
        for _ in range(30):
            _work(world)
            await _tick(world, world.services)
        check_promises(world)
        if not death.came:
            break
    assert at_call > 4


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_a_message_in_poison_is_scored_and_announced_whenever_a_host_dies(
    *, after_effect: bool
) -> None:
    """One of its events cannot be understood; the other one's service is down at first."""
    for at_call in itertools.count(1):
        world = World(HEART)
        message = json.dumps([{"odd": True}, created(a_file(world))]).encode()
        death = Death(at_call, after_effect=after_effect)
        mortal = death.befalls(world.services)
        world.workspace.failure = Unavailable("503")
        try:
            await on_poison.on_poison(mortal, message)
        except KilledError:
            world.clock.pass_(timedelta(minutes=10))
            await on_poison.on_poison(world.services, message)  # the message comes back
        world.workspace.failure = None
        with contextlib.suppress(KilledError):
            await sweep.sweep(mortal)
        for _ in range(2):
            world.clock.pass_(timedelta(minutes=10))
            await sweep.sweep(world.services)
            await poll.poll(world.services)
        assert [job.input_uri for job in world.endpoints.submissions] == [
            f"azureml://datastores/workspaceblobstore/paths/{FILE}"
        ]
        assert len(set(world.publisher.published)) == 1
        ((_, kept),) = world.kept.messages.values()
        assert (kept.shelf, kept.announced) == (DeadLetterKind.QUARANTINE, True)
        if not death.came:
            break
    assert at_call > 10


async def _live(world: World, landing: Landing, death: Death) -> None:
    """One host handles the event and polls until it dies; then others do."""
    mortal = death.befalls(world.services)
    try:
        await on_landing.land(mortal, landing)
        for _ in range(25):
            _work(world)
            await _tick(world, mortal)
    except KilledError:
        await on_landing.land(world.services, landing)  # the message comes back
    for _ in range(90):
        _work(world)
        await _tick(world, world.services)


async def _tick(world: World, services: Services) -> None:
    world.clock.pass_(timedelta(minutes=1))
    await poll.poll(services)


def _work(world: World) -> None:
    """Let every batch job come to its end."""
    for name, batch_job in list(world.endpoints.jobs.items()):
        if batch_job.state.ended or name in world.endpoints.stays:
            continue
        if name in world.endpoints.fails:
            world.endpoints.turn(name, JobState.FAILED)
        else:
            world.complete(name)


def check_promises(world: World) -> None:
    """Check against what the services saw."""
    assert not world.ledger.open, "1: every landing ends"
    assert not world.folders.marks, "1: every folder is scored"
    assert world.ledger.done
    per_output = collections.Counter(job.outputs for job in world.endpoints.jobs.values())
    assert all(count == 1 for count in per_output.values()), "2, 5: one batch job for an attempt"
    assert all(job.state.ended for job in world.endpoints.jobs.values()), "none is left to run"
    contents = collections.defaultdict(set)
    for event in world.publisher.published:
        contents[msgspec.json.decode(event)["id"]].add(event)
    assert {key: {event} for key, event in world.ledger.done.items()} == contents, "3, 4"
    receipts = [msgspec.json.decode(content) for content in world.storage.receipts.values()]
    ends = [msgspec.json.decode(event)["data"] for event in world.ledger.done.values()]
    asked = [data for data in ends if data["route"] == HEART.name]
    assert sorted(receipts, key=_key) == sorted(asked, key=_key), "one receipt, and it is right"
    completed = [job for job in world.endpoints.jobs.values() if job.state is JobState.COMPLETED]
    announced = [status for status in _statuses(world) if status == "completed"]
    assert len(completed) == len(announced), "2: no version is scored twice"


def _key(data: dict[str, str]) -> str:
    return data["job"]


def _statuses(world: World) -> list[str]:
    return [msgspec.json.decode(event)["data"]["status"] for event in world.ledger.done.values()]
