"""Checks that the topic exists and accepts the identity's token. No event is published.

Event Grid answers 401 to a token that it does not accept, and to an identity without the role; and
400 to a batch without events. It is not documented that it checks the role before the batch, so a
400 does not prove the role.
"""

from collections.abc import AsyncIterator

import httpx

from scoring.azure.event_grid import API_VERSION, HEADERS
from scoring.azure.reasons import what_it_says
from scoring.cli.landfall.doctor.checks.facts import Facts
from scoring.cli.landfall.doctor.checks.findings import (
    ROLES_TAKE_TIME,
    Finding,
    Remedies,
    Wrong,
    finding,
    refused,
)

_ROLE = f"give the identity the role EventGrid Data Sender on the topic {ROLES_TAKE_TIME}"
_REMEDIES: Remedies = {
    401: _ROLE,
    403: f"{_ROLE}, and let this machine through the topic's firewall",
    404: "there is no topic: correct CompletionTopic__topicEndpointUri, which ends in /api/events",
    0: "is CompletionTopic__topicEndpointUri right, and can this machine reach it?",
}


async def topic(facts: Facts) -> AsyncIterator[Finding]:
    """Send an empty batch: no event is published, and a refusal shows who may not publish."""
    endpoint = facts.all_settings().topic_endpoint
    yield await finding("topic", httpx.URL(endpoint).host, _answers(facts, endpoint), _REMEDIES)


async def _answers(facts: Facts, endpoint: str) -> str:
    answer = await facts.topic().send(
        "POST", endpoint, params={"api-version": API_VERSION}, content=b"[]", headers=HEADERS
    )
    if answer.is_success:
        return "accepts an empty batch"
    if answer.status_code == httpx.codes.BAD_REQUEST:
        return (
            f"accepts the token, and refuses an empty batch as expected ({what_it_says(answer)});"
            " the first event will show whether the role is sufficient"
        )
    if answer.is_redirect:
        raise Wrong(
            f"{answer.status_code}: it redirects: correct CompletionTopic__topicEndpointUri"
        )
    raise refused(answer)
