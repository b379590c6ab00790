"""What every command has in common."""

import subprocess
import sys
from typing import get_args

import pytest

from scoring.cli.landfall.ledger.commands import State
from scoring.cli.landfall.ledger.rows import ENDS, OPEN_STATES
from scoring.version import VERSION
from tests.cli.conftest import Commands

START = """
import runpy, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "cyclopts":
            raise {raises}
sys.meta_path.insert(0, Finder())
runpy.run_module("scoring", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("raises", "code", "message"),
    [
        ("KeyboardInterrupt", 130, "error: interrupted before anything was done"),
        ("ModuleNotFoundError(name=name)", 2, "pip install -r scoring/cli/requirements.txt"),
    ],
)
def test_what_ends_it_before_its_libraries_are_read_is_one_line(
    raises: str, code: int, message: str
) -> None:
    start = [sys.executable, "-c", START.format(raises=raises)]
    ended = subprocess.run(start, capture_output=True, text=True, check=False)

    assert ended.returncode == code
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


async def test_the_version_is_printed_and_nothing_else(command: Commands) -> None:
    ended = await command("--version")

    assert (ended.code, ended.out, ended.err) == (0, f"{VERSION}\n", "")


@pytest.mark.parametrize("of", [("deploy", "model.yml"), ("ledger", "list"), ("job",)])
async def test_a_command_has_no_version_of_its_own(command: Commands, of: tuple[str, ...]) -> None:
    """`--version 3` after a file would look like an asset's version that was used."""
    ended = await command(*of, "--version", "3")

    assert ended.code == 2


async def test_a_mistake_on_the_command_line_says_what_to_do(command: Commands) -> None:
    ended = await command("deploi")

    assert ended.code == 2
    assert 'error: Unknown command "deploi"' in ended.err
    assert "--help" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("output", [("--output", "json"), ("--output=json",), ("-o", "json")])
async def test_for_a_program_also_a_mistake_is_one_json_document(
    command: Commands, output: tuple[str, ...]
) -> None:
    ended = await command("deploi", *output)

    assert ended.code == 2
    assert ended.document["error"]["kind"] == "usage"
    assert ended.err == ""


@pytest.mark.parametrize("listing", [("job", "list", "--endpoint", "heart"), ("ledger", "list")])
async def test_a_listing_of_nothing_is_not_asked_for(
    command: Commands, listing: tuple[str, ...]
) -> None:
    ended = await command(*listing, "--limit", "0")

    assert ended.code == 2
    assert "--limit" in ended.err


def test_every_state_and_every_end_of_a_job_can_be_listed() -> None:
    """`ledger list --state`."""
    assert {*get_args(State)} == OPEN_STATES | ENDS
