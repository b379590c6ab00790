"""Functions of an app, their invocations, and the lines about them."""

import asyncio
import contextvars
import inspect
import logging
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from azure.functions import meta

_LEVELS = {"INFO": "info", "WARNING": "warn", "ERROR": "fail", "CRITICAL": "crit"}
_running: contextvars.ContextVar[str] = contextvars.ContextVar("running function")


class IndexingError(Exception):
    """One fault in the app, and it has no function at all."""


def say(level: str, category: str, text: str) -> None:
    """Print one line of the log."""
    print(f"{level}: {category} {' '.join(text.splitlines())}", flush=True)


class UserLog(logging.Handler):
    """Passes on what functions log: level, text and traceback, and nothing outside invocations."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as one line."""
        function = _running.get(None)
        if function is None or record.name.startswith("azure.functions"):
            return
        text = logging.Formatter("%(message)s").format(record)
        say(_LEVELS.get(record.levelname, "info"), f"Function.{function}.User[0]", text)


class Function:
    """An indexed function: how to call it with what a trigger brings."""

    def __init__(self, name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> None:
        self.name = name
        self.trigger = trigger
        self._call = call
        self._argument = str(trigger["name"])
        self._converter = _converter(name, call, trigger)

    async def invoke(
        self, reason: str, data: meta.Datum, metadata: Mapping[str, meta.Datum], details: str = ""
    ) -> bool:
        """Run the function; tell whether it succeeded.

        Never returns if the function is never answered: the task that runs it is held by nobody
        here, and an exception that is no `Exception` leaves no answer.
        """
        invocation, began = str(uuid.uuid4()), time.monotonic()
        head = f"'Functions.{self.name}'"
        category = f"Function.{self.name}"
        say("info", f"{category}[1]", f"Executing {head} (Reason='{reason}', Id={invocation})")
        if details:
            say("info", f"{category}[0]", f"Trigger Details: {details}")
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        argument = self._converter.decode(data, trigger_metadata=dict(metadata))
        asyncio.get_running_loop().create_task(self._run(argument, answer))
        failure = await answer
        took = f"Id={invocation}, Duration={1000 * (time.monotonic() - began):.0f}ms"
        if failure is None:
            say("info", f"{category}[2]", f"Executed {head} (Succeeded, {took})")
            return True
        said = f"Result: Failure Exception: {type(failure).__name__}: {failure}"
        say("fail", f"{category}[3]", f"Executed {head} (Failed, {took}) {said}")
        say("fail", "Host.Results[0]", said)
        return False

    async def _run(self, argument: Any, answer: asyncio.Future[Exception | None]) -> None:
        _running.set(self.name)
        try:
            returned = await self._result(argument)
            if returned is not None:
                raise TypeError(
                    f"function {self.name} has no output binding, returned {returned!r}"
                )
        except Exception as failure:  # noqa: BLE001
            answer.set_result(failure)
        else:
            answer.set_result(None)

    async def _result(self, argument: Any) -> Any:
        arguments = {self._argument: argument}
        if inspect.iscoroutinefunction(self._call):
            return await self._call(**arguments)
        return await asyncio.to_thread(self._call, **arguments)


def _converter(name: str, call: Callable[..., Any], trigger: Mapping[str, Any]) -> Any:
    parameters = inspect.signature(call).parameters
    if set(parameters) != {trigger["name"]}:
        raise IndexingError(
            f"cannot load the {name} function: its parameters are {sorted(parameters)},"
            f" its binding is {trigger['name']!r}"
        )
    converter = meta.get_binding_registry().get(trigger["type"])
    if converter is None:
        raise IndexingError(f"cannot load the {name} function: unknown type {trigger['type']!r}")
    wanted = parameters[trigger["name"]].annotation
    if wanted is not inspect.Parameter.empty and not (
        isinstance(wanted, type) and converter.check_input_type_annotation(wanted)
    ):
        raise IndexingError(f"cannot load the {name} function: invalid annotation {wanted!r}")
    return converter


def index(module: Any) -> list[Function]:
    """Return the functions of an imported `function_app`.

    Raises IndexingError, or whatever the app or the library raises.
    """
    functions = []
    for found in module.app.get_functions():
        (trigger,) = [one for one in found.get_bindings() if one.is_trigger]
        described = {**trigger.get_dict_repr(), "type": trigger.type}
        functions.append(Function(found.get_function_name(), found.get_user_function(), described))
    names = [function.name for function in functions]
    for name in names:
        if names.count(name) > 1:
            raise IndexingError(f"two functions are named {name!r}")
    return functions


def take_over_logging() -> None:
    """Send what the app logs to the host's log."""
    root = logging.getLogger()
    root.handlers[:] = [UserLog()]
    root.setLevel(logging.INFO)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
