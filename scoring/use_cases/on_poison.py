"""Dead letters: messages that on_landing gave up.

    landings-poison ──► the same once more ──► taken
                              ├─ an event cannot be understood:
                              │      create quarantine/ ──► publish ──► mark as announced
                              └─ a service fails:
                                     create stuck/ ──► the same at each sweep ──► delete stuck/

Both may happen to one message. If the ledger cannot be written, or the host dies before it is, the
platform delivers the message again after ten minutes. A host that dies between publishing and
marking leaves an entry without a mark; the next sweep publishes the same bytes once more.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial

from scoring.concurrency import for_each_then_raise
from scoring.errors import SetupError, Unavailable
from scoring.events.dead_letters import DeadLetter, DeadLetterKind
from scoring.events.quarantine import TYPE, quarantine_event
from scoring.log import Action, describe, error, info, redacted, warning
from scoring.ports import Services
from scoring.use_cases.on_landing import take, understood

_LONGEST_REASON = 500  # characters


async def on_poison(services: Services, message: bytes) -> None:
    """Take a message once more, or keep it: no message ends in the poison queue.

    Raises:
        Unavailable, SetupError: the ledger cannot be reached, or refuses.
    """
    events, mistakes = understood(message)
    try:
        await take(services, events)
    except Exception as failure:  # noqa: BLE001 - whatever it is, the message is kept
        kept = await _keep(services, DeadLetterKind.STUCK, message, describe(failure))
        warning(Action.STUCK, digest=kept.digest, error=describe(failure))
    if mistakes:
        kept = await _keep(
            services, DeadLetterKind.QUARANTINE, message, "; ".join(map(str, mistakes))
        )
        if not kept.announced:
            error(Action.QUARANTINED, digest=kept.digest, size=kept.size, reason=kept.reason)
            await _announce(services, kept)


async def go_on(services: Services) -> None:
    """Do what is left to do about kept messages, for the time that a sweep may take.

    One message's failure stops neither the others nor the sweep. What is cut is done again.
    """
    try:
        async with asyncio.timeout(services.timing.gather_deadline.total_seconds()):
            await _each(services, DeadLetterKind.QUARANTINE, _announce)
            await _each(services, DeadLetterKind.STUCK, _take_again)
    except TimeoutError:
        warning(Action.SWEEP_CUT, reason="kept messages")


async def _keep(
    services: Services, kind: DeadLetterKind, message: bytes, reason: str
) -> DeadLetter:
    digest = hashlib.sha256(message).hexdigest()
    one_line = " ".join(redacted(reason).split())[:_LONGEST_REASON]
    return await services.messages.keep(kind, digest, message, one_line)


async def _each(
    services: Services,
    kind: DeadLetterKind,
    step: Callable[[Services, DeadLetter], Awaitable[None]],
) -> None:
    try:
        kept = await services.messages.kept(kind)
        await for_each_then_raise(
            partial(step, services), [one for one in kept if not one.announced]
        )
    except Exception as failure:  # noqa: BLE001
        error(Action.SWEEP_ERROR, shelf=kind, error=describe(failure))


async def _announce(services: Services, kept: DeadLetter) -> None:
    about = {"digest": kept.digest, "type": TYPE}
    try:
        await services.publisher.publish(quarantine_event(kept, services.source))
    except (Unavailable, SetupError) as failure:
        warning(Action.NOT_ANNOUNCED, **about, error=str(failure))
        return
    await services.messages.mark_announced(kept)
    info(Action.ANNOUNCED, **about)


async def _take_again(services: Services, kept: DeadLetter) -> None:
    """Take a stuck message; poll submits its jobs, so that no POST is cut."""
    message = await services.messages.message(kept)
    if message is None:
        return  # another sweep was faster
    events, _ = understood(message)  # a mistake among them is a matter of the quarantine
    try:
        await take(services, events, later=True)
    except Exception as failure:  # noqa: BLE001
        warning(Action.STUCK, digest=kept.digest, error=describe(failure))
        return
    await services.messages.drop(kept)
    info(Action.UNSTUCK, digest=kept.digest)
