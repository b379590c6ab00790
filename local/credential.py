"""A credential that hands out one token."""

import time
from typing import Any, Self

from azure.core.credentials import AccessToken


class StaticCredential:
    """An asynchronous credential without an identity behind it."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return it, as good for an hour."""
        return AccessToken(self._token, int(time.time()) + 3_600)

    async def close(self) -> None:
        """Have nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
