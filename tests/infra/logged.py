"""What the product logs: the actions and fields of each call in its source."""

import ast
import functools
from collections.abc import Iterator

from scoring.log import Action
from tests.pages import ROOT

SOURCE = ROOT / "scoring"

_SAY = {"info", "warning", "error", "log"}


@functools.cache
def lines() -> list[tuple[str, list[str]]]:
    """Return the action and the fields of each call of the log's functions, in their order.

    An action that is chosen at run time is `*`.
    """
    trees = [
        ast.parse(file.read_text("utf-8"))
        for file in sorted(SOURCE.rglob("*.py"))
        if file.name != "log.py"
    ]
    return [
        (_action(call), list(_passed(call, tree, trees))) for tree in trees for call in _calls(tree)
    ]


def fields() -> set[str]:
    """Return all fields that calls of the log's functions pass."""
    return {name for _, passed in lines() for name in passed}


def _action(call: ast.Call) -> str:
    _, _, name = ast.unparse(call.args[0]).rpartition("Action.")
    return Action[name].value if name in Action.__members__ else "*"


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            is_said = node.func.id in _SAY and node.args
            if is_said and "ction" in ast.unparse(node.args[0]):  # Action.X, step.action
                yield node


def _passed(call: ast.Call, tree: ast.AST, trees: list[ast.Module]) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        elif isinstance(keyword.value, ast.Call):  # **summary(event)
            called = ast.unparse(keyword.value.func)
            yield from _keys(_functions(trees, called))
        else:  # **about
            yield from _keys(_assigned(tree, ast.unparse(keyword.value)))


def _functions(trees: list[ast.Module], name: str) -> Iterator[ast.AST]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == name:
                yield node


def _assigned(tree: ast.AST, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and name in map(ast.unparse, node.targets):
            yield node.value


def _keys(places: Iterator[ast.AST]) -> Iterator[str]:
    for place in places:
        for node in ast.walk(place):
            if isinstance(node, ast.Dict):
                yield from (str(key.value) for key in node.keys if isinstance(key, ast.Constant))
