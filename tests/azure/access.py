"""What lets a test's requests carry a token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from local.credential import StaticCredential
from local.names import EVENT_GRID_AUDIENCE
from local.tokens import issue
from scoring.azure.access import Access
from scoring.azure.event_grid import EventGridTopic
from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.identity import Identity
from scoring.uris import may_receive_token


def access(*tokens: str, hosts: Sequence[str] = ("localhost",)) -> Access:
    """Return an access to these hosts, whose credentials hand out these tokens in turn, then the last."""
    left = list(tokens) or ["token"]
    identity = Identity(lambda: StaticCredential(left.pop(0) if len(left) > 1 else left[0]))

    def why_not(url: str) -> str | None:
        allowed = may_receive_token(url, hosts)
        return None if allowed else "may not be sent a token: see LANDFALL_ALLOWED_HOSTS"

    return Access(identity, "scope", why_not)


@asynccontextmanager
async def publisher(
    url: str, *tokens: str, audience: str = EVENT_GRID_AUDIENCE
) -> AsyncIterator[EventGridTopic]:
    """Publish to a topic with these tokens in turn, or with one for an audience."""
    async with new_client() as client:
        given = tokens or (issue(audience, client="test"),)
        yield EventGridTopic(AuthorizedHttp(client, access(*given)), url)
