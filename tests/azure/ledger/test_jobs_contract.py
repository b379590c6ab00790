"""What every ledger does: one suite over the reference model and over the real one on Azurite.

The faults are those of a client whose answers get lost: it repeats the write and conflicts with
itself.
"""

import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from azure.core.pipeline.policies import SansIOHTTPPolicy

from local.faults import Fault
from local.run_folder import RunFolder
from local.storage import Storage
from scoring.azure.ledger.blobs import only_if
from scoring.azure.ledger.jobs import BlobLedger
from scoring.errors import SetupError
from scoring.events.correlation import LONGEST, correlation
from scoring.jobs.job import Job
from scoring.jobs.progress import Progress, State, first_progress
from scoring.ports import Ledger
from tests.azure.containers import container
from tests.factories import job as make_job
from tests.fakes import Clock, FakeLedger


@dataclass
class Tried:
    """A ledger, and how to lose the answers of its next write."""

    ledger: Ledger
    lose_answer: Callable[[], None]


@pytest.fixture(params=["model", "azurite"])
async def tried(request: pytest.FixtureRequest, storage: Storage) -> AsyncIterator[Tried]:
    if request.param == "model":
        fake = FakeLedger(Clock())

        def lose() -> None:
            fake.answers_get_lost = True

        yield Tried(fake, lose)
        return
    async with container(storage) as blobs:
        yield Tried(BlobLedger(blobs), lambda: _lose(storage))
    storage.blob_faults.pending.clear()


def _lose(storage: Storage) -> None:
    storage.blob_faults.pending.append(Fault(kind="drop-after", method="PUT", path=r"open|done"))
    storage.blob_faults.pending.append(Fault(kind="drop-after", method="DELETE"))


def a_job() -> Job:
    return make_job(key=uuid.uuid4().hex[:24])


def submitting(job: Job, nonce: str) -> Progress:
    return first_progress(job, State.SUBMITTING, nonce)


async def test_the_first_claim_stands_and_the_second_is_told_of_it(tried: Tried) -> None:
    job = a_job()
    first = await tried.ledger.claim(job, submitting(job, "first"))
    second = await tried.ledger.claim(job, submitting(job, "second"))
    assert first.progress.nonce == second.progress.nonce == "first"
    assert first.version == second.version
    assert first.changed == second.changed


async def test_a_claim_whose_answer_was_lost_is_still_the_claimants(tried: Tried) -> None:
    job = a_job()
    tried.lose_answer()
    claimed = await tried.ledger.claim(job, submitting(job, "mine"))
    assert claimed.progress.nonce == "mine"


async def test_a_save_needs_the_version_that_stands(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    unknown = msgspec.structs.replace(claimed.progress, state=State.UNKNOWN, nonce="2")
    saved = await tried.ledger.save(claimed, unknown)
    late = await tried.ledger.save(claimed, msgspec.structs.replace(unknown, nonce="3"))
    assert saved is not None
    assert saved.progress == unknown
    assert late == saved


async def test_the_longest_correlation_has_room_in_an_entry(tried: Tried) -> None:
    job = a_job()
    long = {"landfall_a": "ü" * 100}
    long["landfall_b"] = "x" * (LONGEST - len(json.dumps({**long, "landfall_b": ""})))
    text, _ = correlation(long, "landfall_")
    assert len(text) == LONGEST
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    saved = await tried.ledger.save(claimed, claimed.progress.to(State.PENDING, correlation=text))
    listed = (await tried.ledger.open_jobs()).jobs
    assert saved in listed
    assert saved is not None
    assert saved.progress.correlation == text


async def test_a_save_whose_answer_was_lost_is_still_the_savers(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    tried.lose_answer()
    saved = await tried.ledger.save(claimed, submitting(job, "2"))
    assert saved is not None
    assert saved.progress.nonce == "2"


async def test_a_save_to_an_entry_that_is_gone_says_so(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    await tried.ledger.forget(claimed)
    assert await tried.ledger.save(claimed, submitting(job, "2")) is None
    assert await tried.ledger.job(job.key) is None


async def test_a_release_needs_the_version_that_stands(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    saved = await tried.ledger.save(claimed, submitting(job, "2"))
    await tried.ledger.forget(claimed)
    assert await tried.ledger.job(job.key) == job
    assert saved is not None
    tried.lose_answer()
    await tried.ledger.forget(saved)
    assert await tried.ledger.job(job.key) is None


async def test_the_listing_shows_what_was_saved(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    progress = claimed.progress.to(
        State.PENDING, not_before=claimed.changed, lost="1,2", files=3, rest={"newer": "field"}
    )
    saved = await tried.ledger.save(claimed, progress)
    listing = await tried.ledger.open_jobs()
    (found,) = [one for one in listing.jobs if one.key == job.key]
    assert found == saved
    assert found.progress == progress
    assert found.changed <= listing.now


async def test_the_first_end_stands(tried: Tried) -> None:
    job = a_job()
    assert await tried.ledger.end(job.key) is None
    tried.lose_answer()
    assert await tried.ledger.conclude(job.key, b"first") == b"first"
    assert await tried.ledger.conclude(job.key, b"second") == b"first"
    assert await tried.ledger.end(job.key) == b"first"


async def test_an_entry_that_is_no_job_is_named_and_does_not_hide_the_others(
    storage: Storage, folder: RunFolder
) -> None:
    job = a_job()
    async with container(storage) as blobs:
        ledger = BlobLedger(blobs)
        await ledger.claim(job, submitting(job, "1"))
        broken = blobs.get_blob_client("open/broken")
        await broken.upload_blob(b"", metadata={"state": "no such state"})
        listing = await ledger.open_jobs()
        await broken.delete_blob()
    assert listing.unreadable == ["broken"]
    assert job.key in {one.key for one in listing.jobs}


async def test_now_is_the_services_time_and_not_the_hosts(storage: Storage) -> None:
    class LongAgo(SansIOHTTPPolicy[Any, Any]):
        def on_response(self, request: Any, response: Any) -> None:
            response.http_response.headers["Date"] = "Mon, 23 Nov 2020 12:00:00 GMT"

    async with container(storage, _additional_pipeline_policies=[LongAgo()]) as blobs:
        listing = await BlobLedger(blobs).open_jobs()
    assert listing.now == datetime(2020, 11, 23, 12, tzinfo=UTC)


def test_a_condition_names_an_etag_in_quotes_as_headers_do() -> None:
    """Azurite takes both forms; Azure does not."""
    assert only_if("0x1")["etag"] == '"0x1"'


async def test_a_ledger_without_its_container_says_so(storage: Storage) -> None:
    job = a_job()
    async with container(storage, "missing") as blobs:
        ledger = BlobLedger(blobs)
        with pytest.raises(SetupError, match="container is missing"):
            await ledger.claim(job, submitting(job, "1"))
        with pytest.raises(SetupError, match="container is missing"):
            await ledger.open_jobs()


async def test_what_has_ended_is_listed_with_when_it_did(tried: Tried) -> None:
    job = a_job()
    claimed = await tried.ledger.claim(job, submitting(job, "1"))
    assert job.key not in [key async for key, _ in tried.ledger.ended()]
    await tried.ledger.conclude(job.key, b"first")
    await tried.ledger.conclude(job.key, b"second")
    ends = {key: ended async for key, ended in tried.ledger.ended()}
    assert abs(ends[job.key] - claimed.changed) < timedelta(minutes=1)
