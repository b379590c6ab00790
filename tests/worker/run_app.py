"""Runs an app in Microsoft's worker library and prints one JSON document of what happened.

    python run_app.py <folder of the app>  < calls, a JSON list

It does what the process around the library does: puts the app on the path, has it indexed, and
makes a task of each invocation, to which it keeps no reference. No host, no gRPC, no protobuf.
"""

import asyncio
import json
import logging
import sys
import weakref
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from azure_functions_runtime import (  # type: ignore[import-not-found]
    functions_metadata_request,
    worker_init_request,
)
from azure_functions_runtime.bindings.datumdef import Datum  # type: ignore[import-not-found]
from azure_functions_runtime.native_invocation import (  # type: ignore[import-not-found]
    invocation_request_native,
)

Json = dict[str, Any]


class _Message(SimpleNamespace):
    """A message of the wire: keeps what it is made with. The numbers are those of the protocol."""

    # StatusResult
    Failure, Success = 0, 1
    # BindingInfo
    undefined = 0
    out, inout = 1, 2


class _Protos:
    """The module of messages that the library is given; all kinds of them are alike here."""

    def __getattr__(self, _: str) -> type[_Message]:
        return _Message


class _Log(logging.Handler):
    """Keeps what the host would pass on as the user's: not the system's own loggers."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("azure.functions"):
            self._lines.append(f"{record.levelname} {record.getMessage()}")

    def take(self) -> list[str]:
        lines, self._lines = self._lines, []
        return lines


async def _index(app: str) -> tuple[str | None, dict[str, Json]]:
    """Return why the app cannot be indexed, if it cannot, and its functions."""
    sys.path.insert(0, app)
    init = SimpleNamespace(capabilities={}, function_app_directory=app)
    began = await worker_init_request(
        SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init),
            properties={"host": "localhost", "protos": _Protos()},
        )
    )
    if began.result.status != _Message.Success:
        return began.result.exception.message, {}
    found = await functions_metadata_request(None)
    return None, {
        function.name: {
            "id": function.function_id,
            "bindings": [json.loads(binding) for binding in function.raw_bindings],
        }
        for function in found.function_metadata_results or []
    }


async def _invoke(function: Json, number: int, call: Json) -> Json:
    """Invoke once; an invocation that will never be answered is told from its task's end."""
    answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()

    async def invoke() -> None:
        ok, returned, outputs, failure, _ = await invocation_request_native(
            f"invocation-{number}",
            function["id"],
            [(function["bindings"][0]["name"], _datum(call["data"]))],
            {name: _datum(datum) for name, datum in call["metadata"].items()},
        )
        returns = returned is not None or bool(outputs)
        answer.set_result({"answered": True, "ok": ok, "failure": failure, "returns": returns})

    def over(*_: object) -> None:
        if not answer.done():
            answer.set_result({"answered": False, "ok": False, "failure": None, "returns": False})

    _start(invoke(), over)
    return await answer


def _start(work: Coroutine[Any, Any, None], over: Callable[..., None]) -> None:
    """Make a task that nobody holds, and be told when it has ended or was collected."""
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(over)
    weakref.finalize(task, over)


def _datum(typed: Json) -> Any:
    return Datum(value=typed["value"], type=typed["type"])


async def _run(app: str, calls: list[Json]) -> Json:
    log = _Log()
    logging.basicConfig(level=logging.INFO, handlers=[log])
    failure, functions = await _index(app)
    log.take()  # what is logged at import is lost
    answers = []
    for number, call in enumerate(calls):
        answer = await _invoke(functions[call["function"]], number, call)
        answers.append({**answer, "lines": log.take()})
    return {
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "failure": failure,
        "functions": {name: function["bindings"] for name, function in functions.items()},
        "answers": answers,
    }


print(json.dumps(asyncio.run(_run(sys.argv[1], json.load(sys.stdin)))))  # noqa: T201 - the answer
