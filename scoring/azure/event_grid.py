"""The Event Grid topic that the events go to: completion and quarantine events."""

import httpx

from scoring.azure.errors import asking
from scoring.azure.http import AuthorizedHttp
from scoring.azure.reasons import what_it_says
from scoring.errors import Denied, LandfallError, SetupError, Unavailable

# As Event Grid's own client library asks; it would write an event anew, in a way of its own.
API_VERSION = "2018-01-01"
HEADERS = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}

_TRIES = 2  # poll tries again
_TRY_AGAIN = frozenset({500, 502, 503, 504})
_KINDS: dict[int, type[LandfallError]] = {401: SetupError, 403: Denied}


class EventGridTopic:
    """Publishes events; a `ports.Publisher`."""

    def __init__(self, http: AuthorizedHttp, endpoint: str) -> None:
        self._http = http
        self._endpoint = endpoint

    async def publish(self, event: bytes) -> None:
        """Publish one event, these very bytes."""
        async with asking("the topic of the completion events"):
            for _ in range(_TRIES):
                answer = await self._post(event)
                if answer.status_code not in _TRY_AGAIN:
                    break
        if answer.status_code != httpx.codes.OK:
            kind = _KINDS.get(answer.status_code, Unavailable)
            raise kind(f"the topic answered {answer.status_code}: {what_it_says(answer)}")

    async def _post(self, event: bytes) -> httpx.Response:
        return await self._http.send(
            "POST",
            self._endpoint,
            params={"api-version": API_VERSION},
            content=b"[" + event + b"]",
            headers=HEADERS,
        )
