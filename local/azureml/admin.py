"""The admin paths: what tests do with an `AzureMl` object, for other processes.

* `POST /_admin/plan`: adds a `Plan`.
* `POST /_admin/operation-plan`: adds an `OperationPlan`.
* `POST /_admin/resume`: resumes a job, `{"job": …}`, or all jobs and operations, `{}`.
* `POST /_admin/hidden`: sets the names of the jobs that listings leave out.
* `POST /_admin/switches`: changes some of `paused`, `page_size`, `decode_percent`, `step_seconds`,
  `operation_seconds`.
* `GET /_admin/jobs`: returns all jobs.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from local.azureml.jobs import Plan
from local.azureml.operations import OperationPlan
from local.azureml.part import AzureMl
from local.azureml.workspace import Positive
from local.faults import ADMIN, Handler

P = TypeVar("P", Plan, OperationPlan)


class _Resume(msgspec.Struct, forbid_unknown_fields=True):
    job: str | None = None


class _Switches(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    page_size: Positive | msgspec.UnsetType = msgspec.UNSET
    decode_percent: bool | msgspec.UnsetType = msgspec.UNSET
    step_seconds: float | msgspec.UnsetType = msgspec.UNSET
    operation_seconds: float | msgspec.UnsetType = msgspec.UNSET


class Admin:
    """The admin paths."""

    def __init__(self, part: AzureMl) -> None:
        self._part = part

    def install(self, app: web.Application) -> None:
        """Add the paths to an app."""
        app.router.add_get(f"{ADMIN}jobs", self._jobs)
        for name, handler in (
            ("plan", _adding(Plan, self._part.plan)),
            ("operation-plan", _adding(OperationPlan, self._part.plan_operation)),
            ("resume", self._resume),
            ("hidden", self._hidden),
            ("switches", self._switch),
        ):
            app.router.add_post(ADMIN + name, _refusing_mistakes(handler))

    async def _jobs(self, _: web.Request) -> web.Response:
        jobs = msgspec.json.encode(list(self._part.jobs.values()))
        return web.Response(body=jobs, content_type="application/json")

    async def _resume(self, request: web.Request) -> web.Response:
        self._part.resume(msgspec.json.decode(await request.read(), type=_Resume).job)
        return web.Response(status=204)

    async def _hidden(self, request: web.Request) -> web.Response:
        names = msgspec.json.decode(await request.read(), type=set[str])
        self._part.hidden.clear()
        self._part.hidden.update(names)
        return web.Response(status=204)

    async def _switch(self, request: web.Request) -> web.Response:
        switches = msgspec.json.decode(await request.read(), type=_Switches)
        for name, value in msgspec.to_builtins(switches).items():
            setattr(self._part, name, value)
        return web.Response(status=204)


def _adding(kind: type[P], add: Callable[[P], P]) -> Handler:
    """Return a handler that adds the plan in a request, and returns it as it was understood."""

    async def answer(request: web.Request) -> web.StreamResponse:
        plan = msgspec.json.decode(await request.read(), type=kind)
        re.compile(plan.match)
        added = msgspec.json.encode(add(plan))
        return web.Response(status=201, body=added, content_type="application/json")

    return answer


def _refusing_mistakes(handler: Handler) -> Handler:
    """Return a handler that answers 400 if the request cannot be understood."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (msgspec.MsgspecError, re.error, KeyError) as mistake:
            return web.Response(status=400, text=f"not understood: {mistake}\n")

    return answer
