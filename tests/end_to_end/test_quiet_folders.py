"""Folders without markers, on real parts: scored once they are quiet, for little."""

import asyncio
import collections
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta

import pytest

from local.host import Host
from local.names import CONTAINER, DATASTORE
from local.run_folder import RunFolder
from tests.end_to_end.site import Site, site

AT_ONCE = 16  # uploads
GAP = timedelta(seconds=3)
SHORT = 'ready = { quiet = "2s", at_most = "1h" }\n'
LONG = 'ready = { quiet = "6s", at_most = "1h" }\n'  # longer than any wait between two files
ROUTES = {
    "many": LONG,
    "score": SHORT + 'late = "score"\n',
    "ignore": SHORT + 'late = "ignore"\n',
    "rare": 'ready = { marker = "landing/rare/{batch}.done" }\nminimum_gap = "3s"\n',
}
_ROUTE = """\
[[routes]]
name = "{name}"
datastore = "{datastore}"
match = "landing/{name}/{{batch}}/*.txt"
input = "folder"
endpoint = "files"
output = "scored/{name}/{{batch}}-{{key}}/predictions.csv"
max_active = "unlimited"
"""


@pytest.fixture(scope="module")
async def running(
    folder: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Site, Host]]:
    routes = [_ROUTE.format(name=name, datastore=DATASTORE) + more for name, more in ROUTES.items()]
    tmp = tmp_path_factory.mktemp("quiet")
    async with site(folder, tmp, routes, ["files"]) as made, made.host() as host:
        yield made, host


async def drop_all(made: Site, paths: Iterable[str]) -> None:
    """Drop files, several at once."""
    waiting = iter(paths)

    async def uploads() -> None:
        for path in waiting:
            await made.drop(path)

    await asyncio.gather(*(uploads() for _ in range(AT_ONCE)))


def cost(made: Site, since: int) -> collections.Counter[str]:
    """Return the app's storage operations for files and jobs; poll's own rounds are none of them."""
    return collections.Counter(
        f"{operation.operation} {operation.blob.partition('/')[0]}/"
        for operation in made.azure.storage.operations.log[since:]
        if operation.actor == "landfall"
        and (
            operation.container == CONTAINER
            or operation.blob.startswith(("filling/", "open/", "done/"))
        )
    )


async def test_a_thousand_files_that_land_together_are_one_job_and_cost_next_to_nothing(
    running: tuple[Site, Host],
) -> None:
    made, host = running
    since = len(made.azure.storage.operations.log)
    await made.azure.storage.events.behave(hold=True)
    await drop_all(made, (f"landing/many/together/{number}.txt" for number in range(1_000)))
    await made.azure.storage.events.behave(hold=False)
    event = await made.event("landing/many/together/")
    await made.operation(event["id"], "DeleteBlob open/")
    await host.until("waiting path=landing/many/together/", times=1_000)
    assert event["type"] == "Landfall.JobCompleted"
    assert event["data"]["input"]["files"] == 1_000
    assert len((await made.output(event)).splitlines()) == 1_000
    assert cost(made, since).total() <= 110, cost(made, since)
    assert len(made.batch_jobs("files", "landing/many/together")) == 1


async def test_files_that_trickle_into_a_folder_are_one_job(running: tuple[Site, Host]) -> None:
    made, host = running
    since = len(made.azure.storage.operations.log)
    for batch in range(1, 4):
        await drop_all(made, (f"landing/many/bits/{batch}-{one}.txt" for one in range(20)))
        await host.until("waiting path=landing/many/bits/", times=20 * batch)
    event = await made.event("landing/many/bits/")
    assert event["data"]["input"]["files"] == 60
    assert len(made.batch_jobs("files", "landing/many/bits")) == 1
    assert cost(made, since).total() <= 66, cost(made, since)


async def test_a_late_file_makes_another_job_over_all_files(running: tuple[Site, Host]) -> None:
    made, _ = running
    await drop_all(made, (f"landing/score/a/{number}.txt" for number in range(3)))
    first = await made.event("landing/score/a/")
    await made.drop("landing/score/a/late.txt")
    second = await made.event("landing/score/a/", count=2)
    ends = [(event["type"], event["data"]["input"]["files"]) for event in (first, second)]
    assert ends == [("Landfall.JobCompleted", 3), ("Landfall.JobCompleted", 4)]
    assert "late.txt 1" in await made.output(second)


async def test_a_late_file_is_rejected_where_its_route_says_so(running: tuple[Site, Host]) -> None:
    made, _ = running
    await drop_all(made, (f"landing/ignore/a/{number}.txt" for number in range(3)))
    first = await made.event("landing/ignore/a/")
    await made.drop("landing/ignore/a/late.txt")
    second = await made.event("landing/ignore/a/", count=2)
    assert (first["type"], second["type"]) == ("Landfall.JobCompleted", "Landfall.LandingRejected")
    assert second["data"]["reason"]["code"] == "late"
    assert len(made.batch_jobs("files", "landing/ignore/a")) == 1


async def test_a_folder_is_submitted_again_only_after_the_gap(running: tuple[Site, Host]) -> None:
    made, _ = running
    await made.drop("landing/rare/a/1.txt")
    await made.drop("landing/rare/a.done", b"1")
    await made.submitted("files", "landing/rare/a")
    await made.drop("landing/rare/a.done", b"2")
    first = await made.event("landing/rare/a/")
    second = await made.event("landing/rare/a/", count=2)
    times = [datetime.fromisoformat(one["data"]["times"]["submitted"]) for one in (first, second)]
    assert times[1] - times[0] >= GAP
