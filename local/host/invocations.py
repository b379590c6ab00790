"""The functions of an app, and how one is run."""

import asyncio
import inspect
import os
import threading
import time
import traceback
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from azure.functions import meta

from local.host import log
from local.host.log import LogContext, log_context


class FunctionLoadError(Exception):
    """A function of the app cannot be loaded, so the app has no functions at all."""


class Function:
    """A function of the app, to be called with the data of its trigger."""

    def __init__(self, name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> None:
        self.name = name
        self.trigger = trigger
        self._call = call
        self._converter = _converter(name, call, trigger)
        self._tasks: set[asyncio.Task[None]] = set()

    async def invoke(
        self, reason: str, data: meta.Datum, metadata: Mapping[str, meta.Datum], details: str = ""
    ) -> bool:
        """Run the function; return whether it succeeded.

        Never returns if the function raises a BaseException such as CancelledError: as in
        Microsoft's host, such a run has no result and no log line.
        """
        invocation, began = str(uuid.uuid4()), time.monotonic()
        head = f"'Functions.{self.name}'"
        category = f"Function.{self.name}"
        log.write(
            "info", f"{category}[1]", f"Executing {head} (Reason='{reason}', Id={invocation})"
        )
        if details:
            log.write("info", f"{category}[0]", f"Trigger Details: {details}")
        failure = await self._answer(self._converter.decode(data, trigger_metadata=dict(metadata)))
        took = f"Id={invocation}, Duration={1000 * (time.monotonic() - began):.0f}ms"
        if failure is None:
            log.write("info", f"{category}[2]", f"Executed {head} (Succeeded, {took})")
            return True
        result = f"Result: Failure Exception: {type(failure).__name__}: {failure}"
        result += f" Stack: {''.join(traceback.format_exception(failure))}"
        log.write("fail", f"{category}[3]", f"Executed {head} (Failed, {took}) {result}")
        log.write("fail", "Host.Results[0]", result)
        return False

    async def _answer(self, argument: Any) -> Exception | None:
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._run(argument, answer))
        self._tasks.add(task)  # else the running task could be garbage-collected
        task.add_done_callback(self._tasks.discard)
        return await answer

    async def _run(self, argument: Any, answer: asyncio.Future[Exception | None]) -> None:
        try:
            with log_context(self.name) as context:
                returned = await self._returned(context, argument)
        except Exception as failure:  # noqa: BLE001
            answer.set_result(failure)
        except (SystemExit, KeyboardInterrupt) as end:
            log.write("crit", "Host.Worker[0]", f"{self.name} ended the worker: {end!r}")
            os._exit(1)
        except BaseException:  # noqa: BLE001
            return  # the run never gets a result
        else:
            unwanted = TypeError(f"function {self.name} has no output binding for {returned!r}")
            answer.set_result(None if returned is None else unwanted)

    async def _returned(self, context: LogContext, argument: Any) -> Any:
        arguments = {self.trigger["name"]: argument}
        if inspect.iscoroutinefunction(self._call):
            return await self._call(**arguments)

        def in_a_thread() -> Any:
            context.thread = threading.get_ident()
            return self._call(**arguments)

        return await asyncio.to_thread(in_a_thread)


def _converter(name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> Any:
    argument = trigger["name"]
    parameters = set(inspect.signature(call).parameters)
    if parameters != {argument}:
        raise FunctionLoadError(
            f"cannot load the {name} function: its parameters are {sorted(parameters)},"
            f" its binding is {argument!r}"
        )
    converter = meta.get_binding_registry().get(trigger["type"])  # type: ignore[no-untyped-call]
    if converter is None:
        raise FunctionLoadError(f"cannot load the {name} function: no type {trigger['type']!r}")
    wanted = typing.get_type_hints(call).get(argument)
    if wanted and not (isinstance(wanted, type) and converter.check_input_type_annotation(wanted)):
        raise FunctionLoadError(
            f"cannot load the {name} function: type of {argument} binding in its trigger"
            f' "{trigger["type"]}" does not match its Python annotation "{wanted!r}"'
        )
    return converter


def index(module: Any) -> list[Function]:
    """Return the functions of an imported `function_app`.

    Raises FunctionLoadError, and any exception of the app or the library.
    """
    return [
        Function(
            found.get_function_name(),
            found.get_user_function(),
            found.get_trigger().get_dict_repr(),
        )
        for found in module.app.get_functions()
    ]
