"""Renames in hierarchical namespaces: one event, no ETag, and for a directory many files."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scoring.errors import SetupError, Unavailable
from scoring.use_cases import on_landing
from tests.factories import route
from tests.fakes import PLACE, World

HEART = route(name="heart", match="landing/heart/**/*.csv")


def message(world: World, path: str, **fields: Any) -> bytes:
    """Return the event that says that something is at this path now."""
    kind = "DirectoryRenamed" if fields.pop("directory", False) else "BlobRenamed"
    account = fields.get("account", PLACE.account)
    container = fields.get("container", PLACE.container)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": "1",
            "source": f"/providers/Microsoft.Storage/storageAccounts/{account}",
            "subject": f"/blobServices/default/containers/{container}/blobs/{path}",
            "type": f"Microsoft.Storage.{kind}",
            "time": world.clock.now,
            "data": {"destinationUrl": f"https://x.dfs.core.windows.net/{container}/{path}"},
        }
    )


async def test_a_renamed_file_is_scored_as_what_it_is() -> None:
    world = World(HEART)
    blob = world.storage.put("landing/heart/a.csv", size=7)
    await on_landing.on_landing(world.services, message(world, blob.path))
    world.complete("batchjob-1")
    await world.tick()
    (event,) = world.publisher.events
    assert (event["data"]["input"]["etag"], event["data"]["input"]["size"]) == (blob.etag, 7)


async def test_a_rename_of_what_was_announced_or_swept_before_makes_no_second_job() -> None:
    world = World(HEART)
    landing = await world.land("landing/heart/a.csv")
    await on_landing.on_landing(world.services, message(world, landing.path))
    assert len(world.endpoints.submissions) == 1


async def test_all_of_a_renamed_directory_is_scored_however_old_it_is() -> None:
    world = World(HEART)
    world.storage.page_size = 2
    for name in ("1.csv", "2.csv", "deep/3.csv", "4.csv", "readme.txt"):
        world.storage.put(f"landing/heart/new/{name}")
    world.storage.put("landing/heart/newer.csv")
    world.clock.pass_(timedelta(days=80))
    await on_landing.on_landing(world.services, message(world, "landing/heart/new", directory=True))
    assert world.endpoints.submissions == [], "poll submits them"
    await world.tick()
    scored = sorted(one.input_uri.rpartition("/new/")[2] for one in world.endpoints.submissions)
    assert scored == ["1.csv", "2.csv", "4.csv", "deep/3.csv"]


async def test_a_directory_that_takes_too_long_goes_on_at_the_next_delivery() -> None:
    world = World(HEART)
    world.storage.page_size = 1
    for number in range(3):
        world.storage.put(f"landing/heart/new/{number}.csv")
    page = world.storage.page

    async def slow(*args: Any) -> Any:
        world.clock.pass_(timedelta(minutes=4))
        return await page(*args)

    world.storage.page = slow  # type: ignore[method-assign,assignment]
    told = message(world, "landing/heart/new", directory=True)
    with pytest.raises(Unavailable, match="is large"):
        await on_landing.on_landing(world.services, told)
    assert len(world.ledger.open) == 1
    world.storage.page = page  # type: ignore[method-assign]
    await on_landing.on_landing(world.services, told)
    assert len(world.ledger.open) == 3


@pytest.mark.parametrize(
    "fields", [{"account": "other"}, {"container": "other"}, {"directory": True}, {}]
)
async def test_a_rename_elsewhere_or_of_what_is_gone_is_ignored(fields: dict[str, Any]) -> None:
    world = World(HEART)
    await on_landing.on_landing(world.services, message(world, "landing/heart/gone", **fields))
    assert world.ledger.open == {}


async def test_a_renamed_file_that_the_app_may_not_look_at_is_a_set_up() -> None:
    world = World(HEART)
    world.storage.forbidden.add("landing/heart/a.csv")
    with pytest.raises(SetupError, match="may not look"):
        await on_landing.on_landing(world.services, message(world, "landing/heart/a.csv"))
