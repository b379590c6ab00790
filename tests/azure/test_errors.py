"""What a refusal of the storage means: its code decides, not what the client library makes of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob.aio import BlobServiceClient

from local.run_folder import RunFolder
from scoring.azure import errors as module
from scoring.azure.errors import Conflict, Missing, asking, translating_errors
from scoring.azure.landing_storage import AzureLandingStorage
from scoring.azure.ledger.blobs import change, delete, properties, put, read
from scoring.azure.ledger.jobs import BlobLedger
from scoring.azure.storage_transport import StorageTransport
from scoring.errors import Denied, LandfallError, Refused, SetupError, Unavailable
from scoring.jobs.blobs import Forbidden
from scoring.jobs.job import ContainerRef
from tests.azure.access import access
from tests.azure.wire import always, server

KEY = "BlobUsesCustomerSpecifiedEncryption"


def refusal(status: int, code: str | None) -> bytes:
    name = f"x-ms-error-code: {code}\r\n" if code else ""
    return f"HTTP/1.1 {status} Refused\r\n{name}Content-Length: 0\r\n\r\n".encode()


@asynccontextmanager
async def answering(raw: bytes, folder: RunFolder) -> AsyncIterator[BlobServiceClient]:
    async with server(always(raw), folder.server_tls()) as url:
        service = BlobServiceClient(url, transport=StorageTransport(access()), retry_total=0)
        try:
            yield service
        finally:
            await service.close()


@asynccontextmanager
async def landing(
    raw: bytes, folder: RunFolder
) -> AsyncIterator[tuple[AzureLandingStorage, ContainerRef]]:
    async with answering(raw, folder) as service:
        there = ContainerRef(account="a", account_url=str(service.url), container="c")
        yield AzureLandingStorage(lambda _: service), there


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (409, "BlobAlreadyExists", Conflict),
        (409, "PathAlreadyExists", Conflict),
        (412, "ConditionNotMet", Conflict),
        (412, "TargetConditionNotMet", Conflict),
        (404, "BlobNotFound", Missing),
        (404, "ContainerNotFound", Missing),
        (404, "ResourceNotFound", Missing),
        (409, KEY, Refused),
        (409, "FeatureVersionMismatch", Refused),
        (409, "ResourceTypeMismatch", Refused),
        (409, "BlobImmutableDueToPolicy", Refused),
        (409, "BlobImmutableDueToLegalHold", Refused),
        (401, "InvalidAuthenticationInfo", SetupError),
        (403, "AuthorizationPermissionMismatch", Denied),
        (403, "KeyVaultEncryptionKeyNotFound", Denied),
        # Definite, and of nobody knows what: somebody has to look.
        (400, "InvalidUri", SetupError),
        (400, "OutOfRangeInput", SetupError),
        (404, "JustInvented", SetupError),
        (404, None, SetupError),
        (409, "JustInvented", SetupError),
        (409, None, SetupError),
        (412, None, SetupError),
        (418, None, SetupError),
        # They end by themselves.
        (409, "ContainerBeingDeleted", Unavailable),
        (409, "PendingCopyOperation", Unavailable),
        (412, "LeaseIdMissing", Unavailable),
        (408, None, Unavailable),
        (429, None, Unavailable),
        (500, "OperationTimedOut", Unavailable),
        (503, "ServerBusy", Unavailable),
        (307, None, Unavailable),
    ],
)
async def test_each_refusal_has_one_meaning(
    status: int, code: str | None, meaning: type[LandfallError], folder: RunFolder
) -> None:
    async with answering(refusal(status, code), folder) as service:
        blob = service.get_blob_client("c", "a.csv")
        for ask in (blob.get_blob_properties, blob.download_blob, blob.delete_blob):
            with pytest.raises(LandfallError) as told:
                async with asking("blob c/a.csv"):
                    await ask()
            assert type(told.value) is meaning
            assert str(told.value).startswith(f"blob c/a.csv: {status}: {code or ''}".rstrip(": "))
            assert getattr(told.value, "code", code) == code


@pytest.mark.parametrize(
    "kind", [ResourceExistsError, ResourceModifiedError, ResourceNotFoundError, HttpResponseError]
)
def test_the_class_of_the_client_library_says_nothing(kind: type[HttpResponseError]) -> None:
    with pytest.raises(LandfallError) as told, translating_errors("it"):
        raise kind("why")
    assert type(told.value) is Unavailable


def test_no_code_has_two_meanings() -> None:
    tables = [module.EXISTS, module.CHANGED, module.MISSING, module.FOR_GOOD, module._PASSING]
    assert sum(map(len, tables)) == len(frozenset().union(*tables))


@pytest.mark.parametrize("failure", [KeyError("Date"), RecursionError(), httpx.InvalidURL("no")])
def test_what_a_client_library_stumbles_over_is_unavailable(failure: Exception) -> None:
    with pytest.raises(Unavailable, match=type(failure).__name__), translating_errors("it"):
        raise failure


async def test_what_is_asked_has_a_time_as_a_whole() -> None:
    with pytest.raises(Unavailable, match="it: no whole answer within 0 s"):
        async with asking("it", within=0.01):
            await asyncio.get_running_loop().create_future()


# --- looks at what landed, and receipts -----------------------------------------------------------


async def test_a_blob_that_only_its_writer_can_read_is_refused_for_good(folder: RunFolder) -> None:
    """So that its job can end instead of being looked at for ever."""
    async with landing(refusal(409, KEY), folder) as (storage, there):
        with pytest.raises(Refused) as told:
            await storage.blob(there, "in/a.csv")
    assert told.value.code == KEY
    assert str(told.value).startswith(f"blob a/c/in/a.csv: 409: {KEY}")


async def test_a_receipt_is_left_only_where_the_blob_is_there_already(folder: RunFolder) -> None:
    async with landing(refusal(409, "BlobAlreadyExists"), folder) as (storage, there):
        await storage.leave(there, "out/r.json", b"{}")
    for code in ("ResourceTypeMismatch", "BlobImmutableDueToPolicy"):
        async with landing(refusal(409, code), folder) as (storage, there):
            with pytest.raises(SetupError, match=f"409: {code}: .*nothing can be written there"):
                await storage.leave(there, "out/r.json", b"{}")
    others: list[tuple[int, str | None, type[LandfallError]]] = [
        (409, None, SetupError),
        (404, "ContainerNotFound", SetupError),
        (412, "LeaseIdMissing", Unavailable),
        (403, "AuthorizationFailure", Denied),
    ]
    for status, other, meaning in others:
        async with landing(refusal(status, other), folder) as (storage, there):
            with pytest.raises(meaning):
                await storage.leave(there, "out/r.json", b"{}")


async def test_what_something_in_between_calls_missing_is_not_taken_for_deleted(
    folder: RunFolder,
) -> None:
    """A gateway's 404 has no code of the storage's."""
    async with landing(refusal(404, None), folder) as (storage, there):
        with pytest.raises(SetupError, match="404"):
            await storage.blob(there, "in/a.csv")
    async with landing(refusal(404, "BlobNotFound"), folder) as (storage, there):
        assert await storage.blob(there, "in/a.csv") is None
    async with landing(refusal(403, "AuthorizationFailure"), folder) as (storage, there):
        assert await storage.blob(there, "in/a.csv") == Forbidden()


# --- the ledger -----------------------------------------------------------------------------------


async def test_a_conflict_of_another_kind_is_not_taken_for_an_entry_that_stands(
    folder: RunFolder,
) -> None:
    """Else an event that could not be written would count as the end that another host wrote."""
    for raw in (refusal(409, "ContainerBeingDeleted"), refusal(412, "LeaseIdMissing")):
        async with answering(raw, folder) as service:
            ledger = BlobLedger(service.get_container_client("landfall"))
            blob = service.get_blob_client("landfall", "open/k")
            with pytest.raises(Unavailable):
                await ledger.conclude("k", b"{}")
            with pytest.raises(Unavailable):
                await put(blob, b"{}")
            with pytest.raises(Unavailable):
                await change(blob, {}, "0x1")
            with pytest.raises(Unavailable):
                await delete(blob, "0x1")


async def test_what_the_ledger_asks_for_may_be_missing_or_changed(folder: RunFolder) -> None:
    for raw in (refusal(412, "ConditionNotMet"), refusal(404, "BlobNotFound")):
        async with answering(raw, folder) as service:
            blob = service.get_blob_client("landfall", "open/k")
            assert await change(blob, {}, "0x1") is None
            await delete(blob, "0x1")
    async with answering(refusal(404, "BlobNotFound"), folder) as service:
        blob = service.get_blob_client("landfall", "open/k")
        assert (await read(blob), await properties(blob)) == (None, None)
    async with answering(refusal(409, "BlobAlreadyExists"), folder) as service:
        assert await put(service.get_blob_client("landfall", "open/k"), b"{}") is None


async def test_a_write_whose_answer_names_no_version_is_unavailable(folder: RunFolder) -> None:
    raw = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    async with answering(raw, folder) as service:
        with pytest.raises(Unavailable):
            await put(service.get_blob_client("landfall", "open/k"), b"{}")


def test_an_error_of_the_product_stays_what_it_is() -> None:
    with pytest.raises(Denied), translating_errors("it"):
        raise Denied("no")
