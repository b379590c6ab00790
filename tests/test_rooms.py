"""docs/design.md, "Rooms": the tree as it is, and the layers that import-linter checks."""

import itertools
import re
import tomllib
from collections.abc import Iterator

from tests.pages import ROOT, blocks, page, section

DRAWN_BY_FOLDER = "scoring/cli/"  # its families are drawn, their files are not
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]


def lines() -> list[str]:
    (tree,) = blocks(section(page("design"), "Rooms"), "")
    return tree.splitlines()


def names_in(line: str) -> list[str]:
    return re.findall(r"[a-z_]+(?:\.py|/)(?=\s|$)", line)


def module(path: str) -> str:
    return path.removesuffix("/").removesuffix(".py").replace("/", ".")


def drawn() -> Iterator[str]:
    """Yield the paths that the section draws, in its order; folders end with a slash."""
    parents: list[str] = []
    for line in lines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = names_in(line)
        del parents[depth:]
        folder = "".join(parents)
        if names and names[0].endswith("/"):
            yield folder + names[0]
            parents.append(names[0])
            folder, names = folder + names[0], names[1:]
        yield from (folder + name for name in names)


def test_the_section_draws_each_file_and_folder_once_and_no_other() -> None:
    shown = list(drawn())
    assert len(shown) == len(set(shown))
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "scoring").rglob("*.py")}
    modules = {name for name in files if not name.endswith("/__init__.py")}
    folders = {f"{name.rpartition('/')[0]}/" for name in files}
    left_out = {
        name
        for name in modules | folders
        if name.startswith(DRAWN_BY_FOLDER) and name.removesuffix("/").count("/") > 2
    } | {name for name in modules if name.startswith(DRAWN_BY_FOLDER)}
    beside = {"function_app.py", "local/", "infra/"}
    assert set(shown) == (modules | folders | beside) - left_out


def test_the_section_draws_the_layers_that_are_checked() -> None:
    """A layer whose rooms do not know each other may be drawn in any order."""
    (layers,) = [one["layers"] for one in CONTRACTS if one["type"] == "layers"]
    places = {module(path): at for at, path in enumerate(drawn())}
    rows = [[places[f"scoring.{room.strip()}"] for room in layer.split("|")] for layer in layers]
    assert all(max(row) < min(below) for row, below in itertools.pairwise(rows))


def test_the_section_calls_pure_what_import_linter_checks() -> None:
    """Its contract is the one that forbids asyncio."""
    (checked,) = (
        one["source_modules"] for one in CONTRACTS if "asyncio" in one.get("forbidden_modules", ())
    )
    pure = [name for line in lines() if re.search(r"\bpure\b", line) for name in names_in(line)]
    assert {f"scoring.{module(name)}" for name in pure} == set(checked)
