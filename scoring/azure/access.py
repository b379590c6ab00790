"""Tokens of one audience, for its own hosts: what sends requests is given this and no identity."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from scoring.azure.identity import Identity
from scoring.errors import SetupError

_UNAUTHORIZED = 401
_BAD_TOKEN = "AuthenticationFailed"  # noqa: S105 - storage's code for it, with 403


class _Answer(Protocol):
    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


A = TypeVar("A", bound=_Answer)


class Access:
    """Lets requests carry a token."""

    def __init__(
        self, identity: Identity, scope: str, why_not: Callable[[str], str | None]
    ) -> None:
        self._identity = identity
        self._scope = scope
        self._why_not = why_not  # says why an address may not be sent a token

    async def token(self) -> str:
        """Return a token, so that the next request need not wait for one."""
        return await self._identity.token(self._scope)

    async def send(self, url: str, send: Callable[[str], Awaitable[A]]) -> A:
        """Send a request with a token; once more with a fresh one if it is refused for the token.

        What the answer says of the token that is wanted instead is not listened to.

        Raises:
            SetupError: the host may not be sent a token; nothing was sent.
            NoToken: there is none; nothing was sent, or nothing that was taken.
        """
        refusal = self._why_not(url)
        if refusal:
            raise SetupError(refusal)
        token = await self._identity.token(self._scope)
        answer = await send(token)
        if not _refuses_token(answer):
            return answer
        return await send(await self._identity.token(self._scope, refused=token))


def _refuses_token(answer: _Answer) -> bool:
    by_code = answer.headers.get("x-ms-error-code") == _BAD_TOKEN
    return answer.status_code == _UNAUTHORIZED or by_code
