"""The ledger's documents stay what they are: two versions of the code share them while one is deployed."""

from pathlib import Path

import pytest

from local.storage import Storage
from scoring.jobs.outcome import Status
from scoring.jobs.progress import Progress, State
from tests.azure.ledger.documents import (
    CASES,
    PAYLOADS,
    empty_container,
    kept,
    newest,
    put,
    written,
)
from tests.azure.ledger.records import ends


async def test_the_code_writes_these_very_bytes(storage: Storage) -> None:
    async with empty_container(storage) as container:
        assert await written(container) == newest()


@pytest.mark.parametrize("release", sorted(PAYLOADS.glob("ledger-*")), ids=lambda path: path.name)
async def test_the_code_reads_what_a_release_wrote(release: Path, storage: Storage) -> None:
    documents = kept(release)
    async with empty_container(storage) as container:
        for document in documents.values():
            await put(container, document)
        read = {title: await CASES[title].read(container) for title in documents}
    assert read == {title: CASES[title].record for title in documents}


def test_every_state_every_end_and_every_field_of_the_progress_is_in_a_document() -> None:
    found = [document.metadata for title, document in newest().items() if "open-" in title]
    assert {metadata["state"] for metadata in found} == set(State)
    assert set().union(*found) == {*Progress.__struct_fields__, "later"} - {"rest"}
    assert set(ends()) == set(Status)
