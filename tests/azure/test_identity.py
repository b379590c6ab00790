"""Tokens: one request for many, renewed in time, replaced when refused, never waited for for ever."""

import asyncio
import time
from typing import Any, Self

import pytest
from azure.core.credentials import AccessToken

from scoring.azure import identity as module
from scoring.azure.identity import Identity, NoToken


class Issuer:
    """Stands behind credentials that issue numbered tokens; counts what it was asked."""

    def __init__(self, lifetime: float = 3_600) -> None:
        self.lifetime = lifetime
        self.requests = 0
        self.asked = asyncio.Event()
        self.closed_at_work = False
        self.hangs: set[str] = set()  # scopes
        self.deaf = False  # to a cancel
        self.fails: Exception | None = None
        self.cannot_be_made = False
        self.gate = asyncio.Event()
        self.gate.set()

    def credential(self) -> "_Credential":
        if self.cannot_be_made:
            raise ValueError("DefaultAzureCredential failed")
        return _Credential(self)


class _Credential:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._at_work = 0
        self._kept: AccessToken | None = None

    async def get_token(self, *scopes: str, **__: Any) -> AccessToken:
        """Like azure-identity's: keeps the token that it was given first."""
        issuer = self._issuer
        self._at_work += 1
        issuer.asked.set()
        try:
            await self._wait(scopes[0])
        finally:
            self._at_work -= 1
        if issuer.fails is not None:
            raise issuer.fails
        if self._kept is None or self._kept.expires_on < time.time() + 300:
            issuer.requests += 1
            expires = int(time.time() + issuer.lifetime)
            self._kept = AccessToken(f"token-{issuer.requests}", expires)
        return self._kept

    async def _wait(self, scope: str) -> None:
        await self._issuer.gate.wait()
        while scope in self._issuer.hangs:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                if not self._issuer.deaf:
                    raise

    async def close(self) -> None:
        self._issuer.closed_at_work |= self._at_work > 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WITHIN", 0.05)


async def test_ten_requests_at_once_with_a_cold_token_ask_once() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    identity = Identity(issuer.credential)
    asking = [asyncio.create_task(identity.token("scope")) for _ in range(10)]
    await issuer.asked.wait()
    issuer.gate.set()
    assert set(await asyncio.gather(*asking)) == {"token-1"}
    assert issuer.requests == 1


async def test_each_scope_has_its_own_token() -> None:
    identity = Identity(Issuer().credential)
    assert [await identity.token(scope) for scope in ("one", "other", "one")] == [
        "token-1",
        "token-2",
        "token-1",
    ]


async def test_a_token_near_its_end_is_renewed_and_a_good_one_kept(clock: Clock) -> None:
    """A short-lived one, because the test's credentials keep the others like azure-identity's."""
    issuer = Issuer(lifetime=200)
    identity = Identity(issuer.credential, clock)
    assert await identity.token("scope") == "token-1"
    clock.now = 90
    assert await identity.token("scope") == "token-1"
    clock.now = 110
    assert await identity.token("scope") == "token-2"


@pytest.mark.parametrize("lifetime", [1, -3_600], ids=["short", "the host's clock is fast"])
async def test_a_token_is_not_asked_for_with_each_request_whatever_the_clock_says(
    lifetime: float, clock: Clock
) -> None:
    """A host whose clock is fast calls every token expired; identity endpoints throttle."""
    issuer = Issuer(lifetime)
    identity = Identity(issuer.credential, clock)
    for _ in range(5):
        await identity.token("scope")
    assert issuer.requests == 1


# --- refused ------------------------------------------------------------------------------------


async def test_a_refused_token_is_replaced_once_for_all_who_were_refused() -> None:
    issuer = Issuer()
    identity = Identity(issuer.credential)
    stale = await identity.token("scope")
    fresh = await asyncio.gather(*(identity.token("scope", refused=stale) for _ in range(5)))
    assert set(fresh) == {"token-2"}
    assert issuer.requests == 2


async def test_who_joins_a_request_of_others_is_not_given_what_was_refused(clock: Clock) -> None:
    issuer = Issuer()
    identity = Identity(issuer.credential, clock)
    stale = await identity.token("scope")
    clock.now = 4_000  # so that the others ask, and are given the same
    issuer.gate.clear()
    issuer.asked.clear()
    others = asyncio.create_task(identity.token("scope"))
    await issuer.asked.wait()
    refused = asyncio.create_task(identity.token("scope", refused=stale))
    await asyncio.sleep(0)
    issuer.gate.set()
    assert (await others, await refused) == ("token-1", "token-2")


async def test_where_every_token_is_refused_not_each_refusal_asks_for_another(
    clock: Clock,
) -> None:
    issuer = Issuer()
    identity = Identity(issuer.credential, clock)
    token = await identity.token("scope")
    for _ in range(20):
        token = await identity.token("scope", refused=token)
    assert issuer.requests == 2
    clock.now += 60
    assert await identity.token("scope", refused=token) == "token-3"


# --- what hangs ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("deaf", [False, True], ids=["it can be cancelled", "it cannot"])
async def test_a_request_that_is_never_answered_ends_and_the_next_one_is_a_new_one(
    deaf: bool, clock: Clock
) -> None:
    issuer = Issuer()
    issuer.hangs, issuer.deaf = {"scope"}, deaf
    identity = Identity(issuer.credential, clock)
    async with asyncio.timeout(5):
        waits = [identity.token("scope") for _ in range(10)]
        ended = await asyncio.gather(*waits, return_exceptions=True)
    assert {type(one) for one in ended} == {NoToken}
    issuer.hangs.clear()
    clock.now += 60
    assert await identity.token("scope") == "token-1"
    assert not issuer.closed_at_work


async def test_a_scope_that_hangs_keeps_no_other_waiting() -> None:
    issuer = Issuer()
    issuer.hangs = {"hangs"}
    identity = Identity(issuer.credential)
    waiting = asyncio.create_task(identity.token("hangs"))
    await issuer.asked.wait()
    async with asyncio.timeout(5):
        token = await identity.token("other")
        assert await identity.token("other", refused=token) == "token-2"
    assert not waiting.done()
    assert not issuer.closed_at_work
    waiting.cancel()


async def test_who_gives_up_waiting_does_not_end_the_request_of_the_others() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    identity = Identity(issuer.credential)
    first = asyncio.create_task(identity.token("scope"))
    second = asyncio.create_task(identity.token("scope"))
    await issuer.asked.wait()
    first.cancel()
    await asyncio.wait({first})
    issuer.gate.set()
    assert await second == "token-1"


@pytest.mark.parametrize("when", ["it is made", "it is asked"])
async def test_whatever_goes_wrong_is_told_as_one_error_and_asked_again_after_a_while(
    when: str, clock: Clock
) -> None:
    issuer = Issuer()
    issuer.cannot_be_made = when == "it is made"
    issuer.fails = ValueError("DefaultAzureCredential failed\nand how")
    identity = Identity(issuer.credential, clock)
    with pytest.raises(
        NoToken, match=r"token for scope: ValueError: DefaultAzureCredential fai.*d$"
    ):
        await identity.token("scope")
    issuer.cannot_be_made, issuer.fails = False, None
    with pytest.raises(NoToken):
        await identity.token("scope")
    clock.now += 60
    assert await identity.token("scope") == "token-1"
