"""The demo fails when something did not come true."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from local import board, serving
from local.demo import data, run
from local.demo.run import DemoError, Drop

DROP = Drop(path="landing/a.csv", files=[data.File(name="a.csv", content=b"", labels=[0, 1])])
EVENT: dict[str, Any] = {
    "type": "Landfall.JobCompleted",
    "subject": "/blobServices/default/containers/c/blobs/landing/a.csv",
    "data": {"reason": None, "output": {"uri": "azureml://x/paths/p.csv", "verified": True}},
}


async def accuracy(
    monkeypatch: pytest.MonkeyPatch, predicted: list[int], *events: dict[str, Any]
) -> float:
    async def predictions(*_: object) -> dict[str, list[int]]:
        return {"a.csv": predicted}

    monkeypatch.setattr(run, "_predictions", predictions)
    return await run._accuracy(None, [DROP], list(events or [EVENT]))  # type: ignore[arg-type]


async def test_right_predictions_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await accuracy(monkeypatch, [0, 1], EVENT, EVENT) == 1.0


@pytest.mark.parametrize("predicted", [[1, 0], [0], [0, 1, 1]])
async def test_wrong_or_missing_predictions_are_none(
    monkeypatch: pytest.MonkeyPatch, predicted: list[int]
) -> None:
    with pytest.raises(DemoError):
        await accuracy(monkeypatch, predicted)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Landfall.JobFailed"},
        {"data": EVENT["data"] | {"output": {"uri": "x", "verified": False}}},
    ],
)
async def test_another_event_than_a_verified_completion_is_none(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    with pytest.raises(DemoError):
        await accuracy(monkeypatch, [0, 1], EVENT | change)
    with pytest.raises(DemoError, match="events differ"):
        await accuracy(monkeypatch, [0, 1], EVENT, EVENT | change)


async def test_a_receipt_says_what_its_event_says(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {"p.csv.receipt.json": json.dumps(EVENT["data"]).encode()}

    async def content(_: object, path: str) -> bytes:
        return left[path]

    monkeypatch.setattr(run, "_content", content)
    path = await run._receipt(None, DROP, [EVENT])  # type: ignore[arg-type]
    assert path == "p.csv.receipt.json"
    left[path] = b'{"status": "failed"}'
    with pytest.raises(DemoError, match="says otherwise"):
        await run._receipt(None, DROP, [EVENT])  # type: ignore[arg-type]


def test_a_terminal_shows_a_table_and_what_has_no_row_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()

    def terminal(**_: object) -> Console:
        return Console(file=screen, force_terminal=True, width=150)

    monkeypatch.setattr(board, "Console", terminal)
    shown = board.Board()
    said = "info: Function.on_landing.User[0] "
    with shown.shown():
        shown.tell(f"{said}ignored path=x.txt reason=no-route")
        shown.tell(f"{said}claimed job=1 path=landing/a.csv")
        shown.tell(f"{said}announced job=1")
    assert "ignored x.txt no-route" in screen.getvalue()
    assert "claimed → announced" in screen.getvalue()
    assert "landing/a.csv" in screen.getvalue()


def test_every_part_listens_on_loopback_only() -> None:
    assert serving.HOST == "127.0.0.1"
