"""Tokens of the app's identity: one request at a time for each scope, kept until they run out."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential

from scoring.errors import Unavailable

_WITHIN = 20.0  # seconds that a token is waited for
_ASK_AGAIN = 5.0  # seconds after which a failure is: many that need a token wait for it once
_REPLACE_EVERY = 10.0  # seconds: a service may refuse every token, and identity endpoints throttle
_RENEW_BEFORE = 300.0  # seconds before it expires; for short-lived tokens half their life
_AT_LEAST = 60.0  # seconds for which a token counts that this host's clock calls expired


class NoToken(Unavailable):
    """The identity gives no token now: nothing was sent."""


class Identity:
    """Gives tokens.

    Each scope has a credential of its own, so that a request that hangs holds up no other scope,
    and none is closed while it is at work.
    """

    def __init__(
        self,
        make_credential: Callable[[], AsyncTokenCredential],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_credential = make_credential
        self._clock = clock
        self._scopes: dict[str, _Tokens] = {}

    async def token(self, scope: str, *, refused: str | None = None) -> str:
        """Return a token that is valid for a while, another than the one that a service refused.

        One that was just replaced is not replaced again: then it is not the token that is wrong.

        Raises:
            NoToken: there is none within 20 seconds.
        """
        if scope not in self._scopes:
            self._scopes[scope] = _Tokens(scope, self._make_credential, self._clock)
        return await self._scopes[scope].get(refused)

    async def close(self) -> None:
        """Close the credentials."""
        for tokens in self._scopes.values():
            await tokens.close()


class _Tokens:
    """The tokens of one scope. azure-identity's asynchronous credentials have no lock."""

    def __init__(
        self,
        scope: str,
        make_credential: Callable[[], AsyncTokenCredential],
        clock: Callable[[], float],
    ) -> None:
        self._scope = scope
        self._make_credential = make_credential
        self._clock = clock
        self._credential: AsyncTokenCredential | None = None
        self._request: asyncio.Task[None] | None = None  # that all wait for
        self._token: str | None = None
        self._renew_at = 0.0  # by the clock, as the next two
        self._failed_at = self._replaced_at = float("-inf")

    async def get(self, refused: str | None) -> str:
        for _ in range(2):  # who joins a request that others made may be given what was refused
            if self._is_good(refused):
                break
            if self._request is None or self._request.done():
                self._request = self._ask(anew=refused is not None and refused == self._token)
            await asyncio.wait({self._request})
            self._request.result()
        assert self._token is not None  # noqa: S101 - a request that ends well leaves one
        return self._token

    async def close(self) -> None:
        if self._credential is not None:
            await self._credential.close()

    def _is_good(self, refused: str | None) -> bool:
        now = self._clock()
        if self._token is None or now >= self._renew_at:
            return False
        return self._token != refused or now < self._replaced_at + _REPLACE_EVERY

    def _ask(self, *, anew: bool) -> asyncio.Task[None]:
        if self._request is not None and self._clock() < self._failed_at + _ASK_AGAIN:
            return self._request
        request = asyncio.create_task(self._fetch(anew=anew))
        request.add_done_callback(_retrieve)
        return request

    async def _fetch(self, *, anew: bool) -> None:
        try:
            fresh = await self._from_credential(anew=anew)
        except Exception as failure:  # noqa: BLE001 - credentials raise many things
            self._failed_at = self._clock()
            text = str(failure).strip().partition("\n")[0][:300]
            raise NoToken(f"no token for {self._scope}: {type(failure).__name__}: {text}") from None
        # By this host's clock, which may be wrong: a service that refuses the token tells.
        left = fresh.expires_on - time.time()
        kept = left - min(_RENEW_BEFORE, left / 2) if left > 0 else _AT_LEAST
        self._token, self._renew_at = fresh.token, self._clock() + kept
        if anew:
            self._replaced_at = self._clock()

    async def _from_credential(self, *, anew: bool) -> AccessToken:
        if anew and self._credential is not None:
            # The credential keeps tokens of its own, so a new one has to ask.
            await self._credential.close()
            self._credential = None
        self._credential = self._credential or self._make_credential()
        asking = asyncio.ensure_future(self._credential.get_token(self._scope))
        asking.add_done_callback(_retrieve)
        # `asyncio.timeout` would wait for a credential that takes no notice of its cancel.
        await asyncio.wait({asking}, timeout=_WITHIN)
        if asking.done() and not asking.cancelled():
            return asking.result()
        asking.cancel()
        self._credential = None  # not closed: it may be at work
        raise TimeoutError(f"no answer within {_WITHIN:.0f} s")


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Look at how a task ended that perhaps nobody awaits any more: asyncio would log it."""
    if not task.cancelled():
        task.exception()
