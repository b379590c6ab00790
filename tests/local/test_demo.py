"""The demo: it fails if a prediction, an event or a receipt is wrong."""

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


async def test_right_predictions_have_an_accuracy_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await accuracy(monkeypatch, [0, 1], EVENT, EVENT) == 1.0


@pytest.mark.parametrize("predicted", [[1, 0], [0], [0, 1, 1]])
async def test_wrong_or_missing_predictions_fail_the_demo(
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
async def test_an_event_that_is_not_a_verified_completion_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    with pytest.raises(DemoError):
        await accuracy(monkeypatch, [0, 1], EVENT | change)
    with pytest.raises(DemoError, match="events differ"):
        await accuracy(monkeypatch, [0, 1], EVENT, EVENT | change)


async def test_a_receipt_that_differs_from_its_event_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    receipts = {"p.csv.receipt.json": json.dumps(EVENT["data"]).encode()}

    async def content(_: object, path: str) -> bytes:
        return receipts[path]

    monkeypatch.setattr(run, "_content", content)
    path = await run._receipt(None, DROP, [EVENT])  # type: ignore[arg-type]
    assert path == "p.csv.receipt.json"
    receipts[path] = b'{"status": "failed"}'
    with pytest.raises(DemoError, match="says otherwise"):
        await run._receipt(None, DROP, [EVENT])  # type: ignore[arg-type]


def test_a_terminal_shows_a_table_and_the_news_without_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()

    def terminal(**_: object) -> Console:
        return Console(file=screen, force_terminal=True, width=150)

    monkeypatch.setattr(board, "Console", terminal)
    shown = board.Board()
    prefix = "info: Function.on_landing.User[0] "
    with shown.shown():
        shown.on_line(f"{prefix}ignored path=x.txt reason=no-route")
        shown.on_line(f"{prefix}claimed job=1 path=landing/a.csv")
        shown.on_line(f"{prefix}announced job=1")
    assert "ignored x.txt no-route" in screen.getvalue()
    assert "claimed → announced" in screen.getvalue()
    assert "landing/a.csv" in screen.getvalue()


def test_every_part_listens_on_loopback_only() -> None:
    assert serving.HOST == "127.0.0.1"
