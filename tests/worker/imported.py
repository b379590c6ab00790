"""Imports the function_app.py of a folder and prints, as one JSON document, what that did."""

import importlib
import json
import os
import sys
import threading

_app = sys.argv[1]
_asked_the_network: list[str] = []
_read: list[str] = []

# Not in the list: the socket that urllib3 binds to ::1 to learn whether there is IPv6.
_SPEAKS = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyaddr",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
)
_CODE = (".py", ".pyc")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in _SPEAKS:
        _asked_the_network.append(f"{event} {arguments[1:]}")
    elif event == "open" and isinstance(arguments[0], str | os.PathLike):
        path = os.path.relpath(arguments[0], _app)
        inside = not path.startswith(("..", ".venv"))
        if inside and "__pycache__" not in path and not path.endswith(_CODE):
            _read.append(path)


sys.addaudithook(_watch)
sys.path.insert(0, _app)
_functions = importlib.import_module("function_app").app.get_functions()
print(  # noqa: T201 - the answer
    json.dumps(
        {
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "functions": {
                function.get_function_name(): [
                    json.loads(binding) for binding in function.get_raw_bindings()
                ]
                for function in _functions
            },
            "asked_the_network": _asked_the_network,
            "read": _read,
            "commands": [
                name
                for name in sys.modules
                if name.startswith("scoring.cli.") or name == "scoring.cli"
            ],
            "threads": threading.active_count(),
        }
    )
)
