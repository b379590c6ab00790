"""Whether the topic is there and lets the identity publish. No event is published.

Event Grid answers 401 both to a token that it does not take and to an identity without the role,
and 400 to a batch without events. That it looks at the role before it looks at the batch is not
documented, so a 400 is no proof of the role.
"""

from collections.abc import AsyncIterator

import httpx

from scoring.azure.event_grid import API_VERSION, HEADERS
from scoring.azure.reasons import what_it_says
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Finding,
    Mend,
    Wrong,
    finding,
    refused,
)

_ROLE = f"give the identity the role EventGrid Data Sender on the topic {ROLES_TAKE_TIME}"
_MEND: Mend = {
    401: _ROLE,
    403: f"{_ROLE}, and let this machine through the topic's firewall",
    404: "there is no topic: mend CompletionTopic__topicEndpointUri, which ends in /api/events",
    0: "is CompletionTopic__topicEndpointUri right, and may this machine reach it?",
}


async def topic(facts: Facts) -> AsyncIterator[Finding]:
    """Send an empty batch: nothing can come of it, and who may not send is told so."""
    endpoint = facts.all_settings().topic_endpoint
    yield await finding("topic", httpx.URL(endpoint).host, _answers(facts, endpoint), _MEND)


async def _answers(facts: Facts, endpoint: str) -> str:
    answer = await facts.topic().send(
        "POST", endpoint, params={"api-version": API_VERSION}, content=b"[]", headers=HEADERS
    )
    if answer.is_success:
        return "takes an empty batch"
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return (
            "takes the token, and refuses an empty batch as it should"
            f" ({what_it_says(answer)}); that the role suffices the first event shows"
        )
    if answer.is_redirect:
        raise Wrong(f"{answer.status_code}: it redirects: mend CompletionTopic__topicEndpointUri")
    raise refused(answer)
