"""What the platform sees of the app before it runs anything: an import, an index, host.json."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scoring.timing import Timing
from tests.pages import ROOT
from tests.worker.apps import BAD_ROUTES, BINDINGS, copied, imported


@pytest.fixture(scope="module")
def bare() -> dict[str, Any]:
    """What an import with no settings did."""
    return imported(sys.executable, ROOT, {})


def test_imported_with_no_settings_at_all_it_lists_its_functions(bare: dict[str, Any]) -> None:
    assert bare["functions"] == BINDINGS


def test_nothing_but_importing_happens_at_import(bare: dict[str, Any]) -> None:
    """A fault there loses every function, and what is made there has no event loop to live in."""
    assert bare["asked_the_network"] == []
    assert bare["read"] == []
    assert bare["threads"] == 1


def test_the_commands_are_not_imported(bare: dict[str, Any]) -> None:
    """They are not deployed, and neither are their libraries."""
    assert bare["commands"] == []


@pytest.mark.parametrize("routes", BAD_ROUTES.values(), ids=BAD_ROUTES)
def test_a_routes_file_that_cannot_be_used_does_not_stop_the_index(
    tmp_path: Path, routes: str | None
) -> None:
    assert imported(sys.executable, copied(tmp_path, routes), {})["functions"] == BINDINGS


@pytest.mark.parametrize(
    ("setting", "schedule"),
    [
        ("1", "* * * * * *"),
        ("30", "*/30 * * * * *"),
        ("soon", "*/15 * * * * *"),
    ],
)
def test_the_schedule_of_poll_follows_its_setting_and_a_wrong_one_does_not_stop_the_index(
    setting: str, schedule: str
) -> None:
    """A wrong one is reported with the other settings, at the first invocation."""
    said = imported(sys.executable, ROOT, {"LANDFALL_POLL_SECONDS": setting})
    (timer,) = said["functions"]["poll"]
    assert timer["schedule"] == schedule


def test_the_host_knows_queue_triggers() -> None:
    """Only HTTP and timers are in Microsoft's host itself; the rest comes with the bundle."""
    assert _host()["extensionBundle"]["id"] == "Microsoft.Azure.Functions.ExtensionBundle"


def test_the_host_passes_messages_on_as_they_are() -> None:
    """With base64 it throws away what is none, and no function ever hears of it."""
    assert _host()["extensions"]["queues"]["messageEncoding"] == "none"


def test_the_host_waits_before_it_tries_again_and_looks_at_the_queue_often() -> None:
    """A wait of zero is a hot loop; the default look at an idle queue is once a minute."""
    queues = _host()["extensions"]["queues"]
    assert _duration(queues["visibilityTimeout"]) >= timedelta(seconds=10)
    assert _duration(queues["maxPollingInterval"]) <= timedelta(seconds=5)
    assert queues["maxDequeueCount"] >= 5
    assert 1 <= queues["batchSize"] <= 32


def test_every_function_stops_itself_well_before_the_host_would() -> None:
    """A timeout kills the worker, and every other invocation with it."""
    longest = max(Timing().cut, Timing().post_starts_within + Timing().post)
    assert longest + timedelta(seconds=15) <= _duration(_host()["functionTimeout"])


def test_the_host_keeps_each_line_of_the_log() -> None:
    """Sampling drops lines, and an operator would miss steps of a job."""
    logging = _host()["logging"]
    assert logging["applicationInsights"]["samplingSettings"]["isEnabled"] is False
    assert logging["logLevel"]["default"] == "Information"


def _host() -> Any:
    return json.loads((ROOT / "host.json").read_text())


def _duration(text: object) -> timedelta:
    hours, minutes, seconds = map(int, str(text).split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
