"""Event Grid and the queue: events come twice, late or never; messages come back, then are poison."""

import json
from typing import TYPE_CHECKING, Any

import msgspec

from scoring.jobs.landing import Landing
from scoring.use_cases.on_landing import on_landing
from scoring.use_cases.on_poison import on_poison
from tests.factories import created, landing
from tests.fakes import PLACE
from tests.simulation.spellings import SPELLINGS, spelled

if TYPE_CHECKING:
    from tests.simulation.world import World

HOUR = 3600.0
_SPELLED = "event: spelled otherwise"
_NOBODY = 60.0  # seconds until it is tried again, when there is no host
_COMES_BACK = 30.0  # seconds after a failure
_HIDDEN = 600.0  # seconds after a host has died with it, and after a failure in the poison queue
_DELIVERIES = 3  # ten in host.json; fewer bring more to poison in the same time
MALFORMED = (b"", b"{", b"not json", b"[[]]", b'{"specversion": "1.0"}', b"e30=", b"null", b"7")


class Message(msgspec.Struct, kw_only=True, eq=False):
    """A message, and how often it was delivered."""

    body: bytes
    landings: tuple[Landing, ...] = ()
    deliveries: int = 0
    poison: bool = False
    answered: bool = True  # nobody works on it
    comes: Any = None  # the timer of its next delivery


class Queue:
    """The queue `landings`, and the one of its poison."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.messages: list[Message] = []
        self.malformed: list[bytes] = []

    def raise_event(self, landed: Landing) -> None:
        """Send the event of a landing, or not."""
        chance, fate = self._world.chance, self._world.faults.of_event()
        if fate == "lost":
            return
        odd = self._world.faults.happens("event: malformed beside it", 0.02)
        how = chance.choice(SPELLINGS) if self._world.faults.happens(_SPELLED, 0.3) else None
        if how:
            self._world.faults.counts[f"{_SPELLED}: {how}"] += 1
        document = spelled(created(landed), how, {"odd": landed.etag} if odd else None)
        # Without ETag or time it tells of what lies there when it is looked at, if anything does.
        told = how not in {"no ETag", "no time"}
        owed = told and landed.etag not in self._world.storage.directories
        if odd:
            self.malformed.append(document)
        for copy in range(2 if fate.startswith("twice") else 1):
            late = fate == "late" or (fate == "twice-late" and copy)
            delay = chance.uniform(0, chance.choice((600, 3 * HOUR) if late else (3, 120)))
            self._send(Message(body=document, landings=(landed,) if owed else ()), delay)

    def raise_rename(self, to: str, *, directory: bool = False) -> None:
        """Send the event of a rename: whoever loses it finds nothing, as Last-Modified stays."""
        account = f"https://{PLACE.account}.blob.core.windows.net"
        destination = f"{account}/{PLACE.container}/{to}"
        kind = f"Microsoft.Storage.{'Directory' if directory else 'Blob'}Renamed"
        landed = landing(to, landed=self._world.clock.now)
        renamed = created(landed, type=kind, data={"destinationUrl": destination})
        message = Message(body=json.dumps(renamed).encode())
        self._send(message, self._world.chance.uniform(0, 3))

    def raise_nonsense(self) -> None:
        """Send something that is no event."""
        body = self._world.chance.choice(MALFORMED)
        self.malformed.append(body)
        self._send(Message(body=body), 0)

    def _send(self, message: Message, delay: float) -> None:
        self.messages.append(message)
        self._deliver_in(delay, message)

    def _deliver_in(self, delay: float, message: Message) -> None:
        message.comes = self._world.loop.call_later(delay, self._deliver, message)

    def hurry(self) -> None:
        """Let what is on its way for the first time come soon."""
        for message in self.messages:
            if not message.deliveries:
                message.comes.cancel()
                self._deliver_in(self._world.chance.uniform(0, 15), message)

    def _deliver(self, message: Message) -> None:
        world = self._world
        host = world.any_host()
        if host is None:
            self._deliver_in(_NOBODY, message)
            return
        message.deliveries += 1
        if message.deliveries > _DELIVERIES and not message.poison:
            world.faults.counts["queue: poison"] += 1
            message.poison, message.deliveries = True, 1
        message.answered = False
        function = on_poison if message.poison else on_landing
        back = world.loop.call_later(_HIDDEN, self._come_back, message)

        def answered(succeeded: bool) -> None:
            back.cancel()
            message.answered = True
            if succeeded:
                self.messages.remove(message)
                for landed in message.landings:
                    world.promises.taken(landed, host.services.routes, poison=message.poison)
            else:
                self._deliver_in(_HIDDEN if message.poison else _COMES_BACK, message)

        host.invoke(function(host.services, message.body), answered)

    def _come_back(self, message: Message) -> None:
        # Whoever had it is dead, or frozen: then two work on it.
        if not message.answered:
            self._world.faults.counts["queue: comes back unanswered"] += 1
            self._deliver(message)
