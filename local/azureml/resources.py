"""The resources that were PUT, by path below the workspace; upper and lower case do not matter."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from local.azureml import arm

SUCCEEDED = "Succeeded"


def now() -> datetime:
    """Return the time at which a resource is created or changed."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Resource:
    """A resource of the workspace."""

    path: str  # below the workspace, as spelled in the first PUT
    body: Any  # a body class of `bodies`
    state: str = SUCCEEDED  # the provisioning state
    operation_uri: str | None = None  # where to poll the latest operation on it
    created: datetime = field(default_factory=now)
    modified: datetime = field(default_factory=now)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Identifies the registration: after a DELETE, another PUT gives another key."""

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    def replace(self, body: Any) -> None:
        """Replace the body."""
        self.body, self.modified = body, now()

    def document(self, **more: Any) -> dict[str, Any]:
        """Return ARM's document of it; `more` are properties that are not in the body."""
        body = msgspec.to_builtins(self.body)
        properties = {**body.pop("properties"), "provisioningState": self.state, **more}
        if self.operation_uri is not None:
            own = properties.get("properties", {})
            properties["properties"] = {**own, "AzureAsyncOperationUri": self.operation_uri}
        times = {"createdAt": self.created.isoformat(), "lastModifiedAt": self.modified.isoformat()}
        return arm.document(self.path, properties, **body, systemData=times)


class Resources:
    """All resources, in the order of their creation."""

    def __init__(self) -> None:
        self._by_path: dict[str, Resource] = {}

    def get(self, path: str) -> Resource | None:
        """Return the resource at a path, if there is one."""
        return self._by_path.get(path.lower())

    def add(self, resource: Resource) -> Resource:
        """Add a resource."""
        return self._by_path.setdefault(resource.path.lower(), resource)

    def remove(self, path: str) -> None:
        """Remove the resource at a path, and all resources below it."""
        top = path.lower()
        for one in [p for p in self._by_path if p == top or p.startswith(f"{top}/")]:
            del self._by_path[one]

    def within(self, collection: str) -> list[Resource]:
        """Return the resources directly in a collection, e.g. `codes/score/versions`."""
        wanted = collection.lower()
        return [one for path, one in self._by_path.items() if path.rpartition("/")[0] == wanted]
