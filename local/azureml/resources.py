"""What was PUT: the resources of the workspace by their path below it, compared without case."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from local.azureml import arm

SUCCEEDED = "Succeeded"


def now() -> datetime:
    """Return the time that a resource was made or changed at."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Resource:
    """One resource."""

    path: str  # below the workspace, as it was PUT first
    body: Any  # of `bodies`
    state: str = SUCCEEDED  # of its provisioning
    operation_uri: str | None = None  # where the latest operation on it is polled
    created: datetime = field(default_factory=now)
    modified: datetime = field(default_factory=now)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Which registration it is: after a DELETE and a PUT another than before."""

    @property
    def name(self) -> str:
        """The last segment of the path."""
        return self.path.rpartition("/")[2]

    def replace(self, body: Any) -> None:
        """Replace what was PUT."""
        self.body, self.modified = body, now()

    def document(self, **more: Any) -> dict[str, Any]:
        """Return how ARM describes it; `more` are properties that it has besides what was PUT."""
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
        """Return the resource at a path."""
        return self._by_path.get(path.lower())

    def add(self, resource: Resource) -> Resource:
        """Add a resource."""
        return self._by_path.setdefault(resource.path.lower(), resource)

    def remove(self, path: str) -> None:
        """Remove the resource at a path, and all below it."""
        gone = path.lower()
        for one in [p for p in self._by_path if p == gone or p.startswith(f"{gone}/")]:
            del self._by_path[one]

    def within(self, collection: str) -> list[Resource]:
        """Return the resources directly in a collection, e.g. `codes/score/versions`."""
        wanted = collection.lower()
        return [one for path, one in self._by_path.items() if path.rpartition("/")[0] == wanted]
