"""Runs the demo: drops files, waits for completion events, compares predictions with labels."""

import asyncio
import csv
import io
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from local import azure
from local.azure import Azure
from local.board import RECEIPT, Board
from local.demo import data
from local.deploy import deploy
from local.drop import landing_container
from local.host import Program
from local.run_folder import RunFolder

_SECONDS = 150.0  # to wait for all events
_GOOD_ENOUGH = 0.9  # accuracy
_TRICKLE = 0.5  # seconds between the files of a folder without a marker

Event = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A file or folder that one job scores."""

    path: str  # of a file, or of a folder with a slash at its end
    files: list[data.File]
    marker: str = ""  # lands last
    pause: float = 0.0  # seconds after each file
    receipt: bool = False

    def subject_ends(self, event: Event) -> bool:
        """Return whether an event is about this file or folder."""
        return str(event["subject"]).endswith(f"/blobs/{self.path}")


class DemoError(RuntimeError):
    """The demo failed."""


async def run(folder: RunFolder, *, program: Program = "local", hosts: int = 1) -> str:
    """Run the demo; return its last line.

    Raises:
        DemoError: a job did not complete, or its predictions are wrong.
        TimeoutError: an event did not come.
    """
    began = time.monotonic()
    drops = _drops()
    board = Board()
    async with azure.start(folder) as running:
        print(await deploy(folder))
        with board.shown():
            async with azure.hosts(folder, board.on_line, count=hosts, program=program):
                await _drop_all(folder, drops)
                events = await _all_events(running, drops)
        async with landing_container(folder) as container:
            accuracy = await _accuracy(container, drops, events)
            receipts = [await _receipt(container, drop, events) for drop in drops if drop.receipt]
    files = sum(len(drop.files) for drop in drops)
    return (
        f"one of the receipts: {receipts[0]}\n"
        f"demo ok: {len(drops)} jobs, {files} files, {len(events)} events,"
        f" {len(receipts)} receipts, accuracy {accuracy:.3f}, {time.monotonic() - began:.0f} s"
    )


def _drops() -> list[Drop]:
    tables = [
        Drop(path=f"landing/cancer/{file.name}", files=[file], receipt=True)
        for file in data.cancer_tables(10)
    ]
    batches = [
        Drop(
            path=f"landing/digits/batch-{batch}/",
            files=list(data.digit_images(first, 20)),
            marker=f"landing/digits/batch-{batch}.done",
        )
        for batch, first in ((1, 0), (2, 20))
    ]
    trickle = Drop(
        path="landing/inbox/trickle/", files=list(data.digit_images(40, 10)), pause=_TRICKLE
    )
    return [trickle, *batches, *tables]


async def _drop_all(folder: RunFolder, drops: list[Drop]) -> None:
    async with landing_container(folder) as container:
        await asyncio.gather(*(_drop(container, drop) for drop in drops))


async def _drop(container: ContainerClient, drop: Drop) -> None:
    for file in drop.files:
        path = drop.path + file.name if drop.path.endswith("/") else drop.path
        await container.upload_blob(path, file.content)
        await asyncio.sleep(drop.pause)
    if drop.marker:
        await container.upload_blob(drop.marker, b"")


async def _all_events(running: Azure, drops: list[Drop]) -> list[Event]:
    def all_there(events: list[Event]) -> bool:
        return all(any(map(drop.subject_ends, events)) for drop in drops)

    try:
        return await running.topic.until(all_there, seconds=_SECONDS)
    except TimeoutError:
        events = running.topic.events
        missing = [one.path for one in drops if not any(map(one.subject_ends, events))]
        log = running.folder.path / "host.log"
        raise DemoError(f"no completion event for {', '.join(missing)}; see {log}") from None


async def _accuracy(container: ContainerClient, drops: list[Drop], events: list[Event]) -> float:
    right = total = 0
    for drop in drops:
        event = _only_event(drop, events)
        predicted = await _predictions(container, event)
        for file in drop.files:
            if len(predicted[file.name]) != len(file.labels):
                raise DemoError(
                    f"{drop.path}: {len(file.labels)} predictions were due for {file.name},"
                    f" {len(predicted[file.name])} came"
                )
            right += sum(map(int.__eq__, predicted[file.name], file.labels))
            total += len(file.labels)
    if right / total < _GOOD_ENOUGH:
        raise DemoError(f"accuracy is {right / total:.3f}: the predictions are not the labels'")
    return right / total


def _only_event(drop: Drop, events: list[Event]) -> Event:
    copies = [event for event in events if drop.subject_ends(event)]
    if any(copy != copies[0] for copy in copies):
        raise DemoError(f"{drop.path}: events differ: {copies}")
    if copies[0]["type"] != "Landfall.JobCompleted" or not copies[0]["data"]["output"]["verified"]:
        raise DemoError(f"{drop.path}: {copies[0]['type']}: {copies[0]['data']['reason']}")
    return copies[0]


async def _receipt(container: ContainerClient, drop: Drop, events: list[Event]) -> str:
    """Check that a receipt equals the data of its event; return its path."""
    event = _only_event(drop, events)
    path = _output_path(event) + RECEIPT
    content = await _content(container, path)
    if json.loads(content) != event["data"]:
        raise DemoError(f"{path} says otherwise than its event: {content.decode()}")
    return path


async def _predictions(container: ContainerClient, event: Event) -> dict[str, list[int]]:
    """Return the predictions in an output, by file and in the order of the file's rows."""
    content = await _content(container, _output_path(event))
    predicted: dict[str, list[int]] = defaultdict(list)
    for row in csv.reader(io.StringIO(content.decode()), delimiter=" "):
        predicted[row[0]].append(int(row[-1]))
    return predicted


def _output_path(event: Event) -> str:
    return str(event["data"]["output"]["uri"]).partition("/paths/")[2]


async def _content(container: ContainerClient, path: str) -> bytes:
    """Return the content of a blob."""
    try:
        return bytes(await (await container.download_blob(path)).readall())
    except ResourceNotFoundError:
        raise DemoError(f"there is no {path}") from None
