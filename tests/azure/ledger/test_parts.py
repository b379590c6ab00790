"""Listings in parts, on Azurite: pages are small here, as if the ledger were large."""

import hashlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.storage.blob.aio import ContainerClient

from local.faults import Fault
from local.storage import Storage
from scoring.azure.ledger import parts
from scoring.azure.ledger.parts import Listing, listed_in_parts
from tests.azure.containers import container

KEYS = sorted(hashlib.sha256(bytes([one])).hexdigest()[:24] for one in range(60))
LONG = timedelta(seconds=30)


@pytest.fixture
async def blobs(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ContainerClient]:
    monkeypatch.setattr(parts, "PAGE", 3)
    async with container(storage, f"parts-{uuid.uuid4().hex}") as made:
        await made.create_container()
        for key in KEYS:
            await made.upload_blob(f"open/{key}", b"", metadata={"key": key})
        await made.upload_blob("other/0", b"")
        yield made
    storage.blob_faults.forget()


def keys(listing: Listing) -> list[str]:
    return sorted(blob.name.removeprefix("open/") for blob in listing.blobs)


@pytest.mark.parametrize("start", ["", KEYS[0], KEYS[30], "f", "zz"])
async def test_the_parts_together_are_the_whole(blobs: ContainerClient, start: str) -> None:
    listing = await listed_in_parts(blobs, "open/", start=start, within=LONG)
    assert (keys(listing), listing.missing_from, listing.whole) == (KEYS, None, True)
    assert all(blob.metadata["key"] in blob.name for blob in listing.blobs)


async def test_a_short_listing_is_one_request(
    blobs: ContainerClient, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PAGE", 5_000)
    fault = storage.blob_faults.add(Fault(kind="delay", path="comp=list", times=-1))
    listing = await listed_in_parts(blobs, "open/", start="", within=LONG)
    assert (keys(listing), listing.whole, fault.met) == (KEYS, True, 1)


async def test_what_is_missing_of_e_cut_listing_is_said_from_its_start_on(
    blobs: ContainerClient, storage: Storage
) -> None:
    """The parts that hang are those of the digits 4 and c; the listing starts at 8."""
    hangs = Fault(kind="hang-before", path=r"prefix=open(%2F|/)[4c](&|$)", times=-1)
    storage.blob_faults.add(hangs)
    listing = await listed_in_parts(blobs, "open/", start="8", within=timedelta(seconds=2))
    assert keys(listing) == [key for key in KEYS if key[0] not in "4c"]
    assert (listing.missing_from, listing.whole) == ("c", False)


async def test_of_e_part_that_was_cut_what_was_listed_counts(
    blobs: ContainerClient, storage: Storage
) -> None:
    hangs = Fault(kind="hang-before", path=r"prefix=open(%2F|/)e(&|$)", times=-1, skip=1)
    storage.blob_faults.add(hangs)
    listing = await listed_in_parts(blobs, "open/", start="", within=timedelta(seconds=2))
    of_e = [key for key in keys(listing) if key.startswith("e")]
    assert of_e == [key for key in KEYS if key.startswith("e")][:3]
    assert listing.missing_from == f"{of_e[-1]}0"
