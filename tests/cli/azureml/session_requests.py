"""What a session asks of Azure ML: the control plane and the scoring URIs."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from scoring.cli.session import Session


@dataclass
class Recording:
    """The requests in their order, as files of `requests/` show them."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    raw: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> None:
        """Note a request."""
        self.raw.append(request)
        deployment = request.headers.get("azureml-model-deployment")
        self.requests.append(
            {
                "method": request.method,
                "path": request.url.path,
                "query": dict(request.url.params),
                **({"deployment": deployment} if deployment else {}),
                **({"body": json.loads(request.content)} if request.content else {}),
            }
        )

    def posted(self) -> dict[str, Any]:
        """Return the properties of the body of the only POST."""
        (body,) = (one["body"] for one in self.requests if one["method"] == "POST")
        return dict(body["properties"])


def record(session: Session) -> Recording:
    """Begin to note what a session asks."""
    recording = Recording()
    for http in (session.clients.arm, session.clients.ml):
        http._client.event_hooks = {"request": [recording], "response": []}
    return recording
