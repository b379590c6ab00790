"""Tokens: one request for many, renewed in time, replaced when refused."""

import asyncio
import time
from typing import Any, Self

from azure.core.credentials import AccessToken

from scoring.azure.identity import Identity


class Issuer:
    """Stands behind credentials that issue numbered tokens; counts what it was asked."""

    def __init__(self, lifetime: float = 3_600) -> None:
        self.lifetime = lifetime
        self.requests = 0
        self.at_work = 0
        self.closed_at_work = False
        self.gate = asyncio.Event()
        self.gate.set()

    def credential(self) -> "_Credential":
        return _Credential(self)


class _Credential:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._kept: AccessToken | None = None

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Like azure-identity's: keeps the token that it was given first."""
        self._issuer.at_work += 1
        await self._issuer.gate.wait()
        self._issuer.at_work -= 1
        if self._kept is None or self._kept.expires_on < time.time() + 300:
            self._issuer.requests += 1
            expires = int(time.time() + self._issuer.lifetime)
            self._kept = AccessToken(f"token-{self._issuer.requests}", expires)
        return self._kept

    async def close(self) -> None:
        self._issuer.closed_at_work |= self._issuer.at_work > 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_ten_requests_at_once_with_a_cold_token_ask_once() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    identity = Identity(issuer.credential)
    asking = [asyncio.create_task(identity.get_token("scope")) for _ in range(10)]
    await asyncio.sleep(0)
    assert issuer.at_work == 1
    issuer.gate.set()
    assert {token.token for token in await asyncio.gather(*asking)} == {"token-1"}
    assert issuer.requests == 1


async def test_each_scope_has_its_own_token() -> None:
    issuer = Issuer()
    identity = Identity(issuer.credential)
    await identity.get_token("one")
    await identity.get_token("other")
    assert set(identity._tokens) == {("one",), ("other",)}


async def test_a_token_near_its_end_is_renewed_and_a_good_one_kept() -> None:
    issuer = Issuer(lifetime=-1)
    identity = Identity(issuer.credential)
    first = await identity.get_token("scope")
    issuer.lifetime = 3_600
    second = await identity.get_token("scope")
    third = await identity.get_token_info("scope")
    assert first.token != second.token == third.token


async def test_a_refused_token_is_replaced_once_for_all_who_were_refused() -> None:
    issuer = Issuer()
    identity = Identity(issuer.credential)
    stale = (await identity.get_token("scope")).token
    fresh = await asyncio.gather(*(identity.token_other_than(stale, "scope") for _ in range(5)))
    assert set(fresh) == {"token-2"}
    assert issuer.requests == 2


async def test_a_credential_is_not_replaced_while_it_asks_for_another_scope() -> None:
    """azure-identity's fail oddly when they are closed in the middle of a request."""
    issuer = Issuer()
    identity = Identity(issuer.credential)
    stale = (await identity.get_token("one")).token
    issuer.gate.clear()
    other = asyncio.create_task(identity.get_token("other"))
    await asyncio.sleep(0)
    replacing = asyncio.create_task(identity.token_other_than(stale, "one"))
    await asyncio.sleep(0)
    issuer.gate.set()
    await asyncio.gather(other, replacing)
    assert not issuer.closed_at_work
