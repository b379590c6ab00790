"""Long operations of the control plane, and plans that tests make for them.

```
InProgress → Succeeded
         └─→ Failed, Canceled
```
"""

import asyncio
import contextlib
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from local.azureml.resources import SUCCEEDED, now
from local.changes import Changes
from local.names import LOCATION, SUBSCRIPTION
from local.rules import Rule, first_applying

CANCELED = "Canceled"
FAILED = "Failed"
_LONGEST_RETRY_AFTER = 10  # seconds
_PROVIDER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.MachineLearningServices"
STATUS = f"{_PROVIDER}/locations/{LOCATION}/mfeOperationsStatus"
RESULTS = f"{_PROVIDER}/locations/{LOCATION}/mfeOperationResults"

Verb = Literal["PUT", "DELETE"]


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why an operation fails."""

    code: str
    message: str

    @property
    def status(self) -> str:
        """The final status of the operation."""
        return CANCELED if self.code == CANCELED else FAILED


class OperationPlan(Rule[str], kw_only=True):
    """What happens to the next operations that match."""

    match: str = ""  # a regular expression that is searched for in the path below the workspace
    fails: Failure | None = None  # the error; code Canceled: it is canceled
    seconds: Annotated[float, Meta(ge=0)] | None = None  # how long it lasts; None: as usual

    def matches(self, subject: str) -> bool:
        """Return whether the plan is for operations on the resource at a path."""
        return bool(re.search(self.match, subject))


@dataclass(kw_only=True)
class Operation:
    """An operation and its present status."""

    path: str  # of the resource, below the workspace
    verb: Verb
    seconds: float  # its duration
    result: Callable[[], dict[str, Any] | None]  # the resource afterwards; None: it is deleted
    status: str = "InProgress"
    error: Failure | None = None
    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: datetime = field(default_factory=now)
    ended: datetime | None = None

    @property
    def status_path(self) -> str:
        """The path in the header `Azure-AsyncOperation`."""
        return f"{STATUS}/{self.name}"

    @property
    def result_path(self) -> str:
        """The path in the header `Location`."""
        return f"{RESULTS}/{self.name}"

    @property
    def retry_after(self) -> dict[str, str]:
        """The header Retry-After, for an operation of a second or more that is in progress."""
        left = self.seconds - (now() - self.started).total_seconds()
        if self.ended is not None or self.seconds < 1:
            return {}
        return {"Retry-After": str(max(1, min(int(left), _LONGEST_RETRY_AFTER)))}

    def document(self) -> dict[str, Any]:
        """Return ARM's document of the operation."""
        document: dict[str, Any] = {
            "id": self.status_path,
            "name": self.name,
            "status": self.status,
            "startTime": self.started.isoformat(),
        }
        if self.ended is not None:
            document["endTime"] = self.ended.isoformat()
        if self.error is not None:
            document["error"] = msgspec.to_builtins(self.error)
        return document


class Operations:
    """All operations by name."""

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds  # the duration of an operation
        self.plans: list[OperationPlan] = []
        self._all: dict[str, Operation] = {}
        self._resumed: dict[str, asyncio.Event] = {}  # of those in progress
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes = Changes()

    def get(self, name: str) -> Operation | None:
        """Return the operation of a name."""
        return self._all.get(name)

    def in_progress(self, path: str, *, below: bool = False) -> Operation | None:
        """Return the operation in progress on a resource, or on one below it."""
        for name in self._resumed:
            operation = self._all[name]
            running, wanted = operation.path.lower(), path.lower()
            if running == wanted or (below and running.startswith(f"{wanted}/")):
                return operation
        return None

    def begin(
        self,
        path: str,
        verb: Verb,
        *,
        end: Callable[[Operation], None],
        result: Callable[[], dict[str, Any] | None],
    ) -> Operation:
        """Begin an operation on a resource, as planned; `end` is called to apply its effect."""
        plan = first_applying(self.plans, path) or OperationPlan()
        seconds = self.seconds if plan.seconds is None else plan.seconds
        operation = Operation(path=path, verb=verb, seconds=seconds, result=result)
        self._all[operation.name] = operation
        self._resumed[operation.name] = asyncio.Event()
        task = asyncio.create_task(self._run(operation, plan.fails, end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    def resume(self) -> None:
        """End all operations at once, and drop all plans."""
        self.plans.clear()
        for resumed in self._resumed.values():
            resumed.set()

    async def until(
        self, condition: Callable[[list[Operation]], bool], *, seconds: float
    ) -> list[Operation]:
        """Wait until a condition holds for the operations; return them. Raises TimeoutError."""
        await self._changes.until(lambda: condition(list(self._all.values())), seconds=seconds)
        return list(self._all.values())

    async def close(self) -> None:
        """Cancel the operations in progress."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(
        self, operation: Operation, fails: Failure | None, end: Callable[[Operation], None]
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(operation.seconds):
                await self._resumed[operation.name].wait()
        operation.error = fails
        operation.status = fails.status if fails else SUCCEEDED
        operation.ended = now()
        end(operation)
        del self._resumed[operation.name]
        self._changes.happened()
