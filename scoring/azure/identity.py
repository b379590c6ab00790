"""Tokens of the app's identity: one request at a time for each scope, kept until they run out."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.credentials_async import AsyncTokenCredential

_RENEW_BEFORE = 300.0  # seconds before it expires; for short-lived tokens half their life


class Identity:
    """A credential for the SDKs' clients and for our own requests.

    azure-identity's asynchronous credentials have no lock, so ten requests with a cold token
    would ask for ten.
    """

    def __init__(self, make_credential: Callable[[], AsyncTokenCredential]) -> None:
        self._make_credential = make_credential
        self._credential = make_credential()
        self._tokens: dict[tuple[str, ...], tuple[AccessToken, float]] = {}
        self._lock = asyncio.Lock()

    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token that is valid for a while."""
        return await self._token(scopes, refused=None)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """Return the same in the newer form that SDK clients prefer."""
        del options
        token = await self._token(scopes, refused=None)
        return AccessTokenInfo(token.token, token.expires_on)

    async def token_other_than(self, refused: str, scope: str) -> str:
        """Return a fresh token in place of one that a service refused."""
        return (await self._token((scope,), refused=refused)).token

    async def close(self) -> None:
        """Close the credential."""
        await self._credential.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _token(self, scopes: tuple[str, ...], refused: str | None) -> AccessToken:
        kept = self._kept(scopes, refused)
        if kept is not None:
            return kept
        async with self._lock:  # for all scopes: a credential is not closed while it is at work
            kept = self._kept(scopes, refused)
            if kept is not None:
                return kept
            if refused is not None:
                # The credential keeps tokens of its own, so a new one has to ask.
                await self._credential.close()
                self._credential = self._make_credential()
            fresh = await self._credential.get_token(*scopes)
            left = fresh.expires_on - time.time()
            self._tokens[scopes] = fresh, time.time() + left - min(_RENEW_BEFORE, left / 2)
            return fresh

    def _kept(self, scopes: tuple[str, ...], refused: str | None) -> AccessToken | None:
        token, renew_at = self._tokens.get(scopes, (None, 0.0))
        good = token is not None and time.time() < renew_at and token.token != refused
        return token if good else None
