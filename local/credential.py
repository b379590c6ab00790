"""A credential that returns a fixed token."""

import time
from typing import Any, Self

from azure.core.credentials import AccessToken


class StaticCredential:
    """An async credential for the Azure SDK."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token(self, *_: str, **__: Any) -> AccessToken:
        """Return the token, as if it were valid for one hour."""
        return AccessToken(self._token, int(time.time()) + 3_600)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
