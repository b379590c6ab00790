"""What the app sees of landed blobs and outputs, on Azurite."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.identity import CredentialUnavailableError
from azure.storage.blob import BlobType, StandardBlobTier
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.credential import StaticCredential
from local.names import CONTAINER, LANDING_ACCOUNT, STORAGE_AUDIENCE
from local.serving import serve
from local.storage import Storage
from local.tokens import issue
from scoring.azure.access import Access
from scoring.azure.identity import Identity
from scoring.azure.landing_storage import AzureLandingStorage
from scoring.azure.storage_transport import StorageTransport
from scoring.errors import Denied, SetupError, Unavailable
from scoring.jobs.blobs import Blob, Forbidden
from scoring.jobs.job import ContainerRef
from tests.azure.access import access

NASTY = [
    "a b.csv",
    "100%.csv",
    "%41.csv",
    "a#b?c+d&e.csv",
    'it\'s "quoted".csv',
    "Größe-数据.csv",
    "🙂.csv",
    ".hidden",
    "/".join(["x" * 199] * 4),
]


@pytest.fixture
async def container(storage: Storage) -> AsyncIterator[ContainerClient]:
    """The landing container as people see it."""
    connection = storage.connection_string(LANDING_ACCOUNT)
    async with ContainerClient.from_connection_string(connection, CONTAINER) as client:
        yield client


@pytest.fixture
def place(storage: Storage) -> ContainerRef:
    url = f"{storage.blob}/{LANDING_ACCOUNT}"
    return ContainerRef(account=LANDING_ACCOUNT, account_url=url, container=CONTAINER)


@pytest.fixture
async def landing_storage() -> AsyncIterator[AzureLandingStorage]:
    made = _storage(STORAGE_AUDIENCE)
    yield made
    await made.close()


def _storage(audience: str) -> AzureLandingStorage:
    token = issue(audience, client="test")
    return AzureLandingStorage(
        lambda place: BlobServiceClient(
            place.account_url, transport=StorageTransport(access(token)), retry_total=0
        )
    )


@pytest.mark.parametrize("name", NASTY)
async def test_a_blob_is_seen_under_its_very_name(
    name: str, container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    path = f"landing/{uuid.uuid4().hex}/{name}"
    answer = await container.upload_blob(path, b"12345")
    seen = await landing_storage.blob(place, path)
    properties = await answer.get_blob_properties()
    assert seen == Blob(
        path=path,
        etag=properties.etag.strip('"'),
        size=5,
        modified=properties.last_modified,
    )


async def test_a_blob_that_is_not_there_is_none(
    place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    assert await landing_storage.blob(place, "landing/nothing") is None


@pytest.mark.parametrize("up", ["..", "%2e%2e", "x/../.."])
async def test_a_path_that_the_client_would_resolve_is_not_asked_for(
    up: str, container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    """Else the properties of another blob, of another container even, are taken for its own."""
    await container.upload_blob("secret.csv", b"12345", overwrite=True)
    assert await landing_storage.blob(place, "secret.csv") is not None
    assert await landing_storage.blob(place, f"landing/{up}/secret.csv") is None


async def test_odd_blobs_are_told_from_block_blobs(
    container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    folder = f"landing/{uuid.uuid4().hex}"
    await container.upload_blob(f"{folder}/append", b"1", blob_type=BlobType.APPENDBLOB)
    archived = await container.upload_blob(f"{folder}/archived", b"1")
    await archived.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    files = await landing_storage.folder(place, folder)
    assert not isinstance(files, Forbidden)
    assert [(file.block, file.archived) for file in files] == [(False, False), (True, True)]
    seen = await landing_storage.blob(place, f"{folder}/append")
    assert isinstance(seen, Blob)
    assert not seen.block


async def test_a_blob_that_is_being_copied_is_told_from_one_that_is_there() -> None:
    """Azurite copies at once; the answers are those of "Get Blob Properties" and "List Blobs"."""
    listed = """<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="http://localhost/" ContainerName="data"><Blobs>
<Blob><Name>in/a.csv</Name><Properties><Last-Modified>Wed, 25 Nov 2026 12:00:00 GMT</Last-Modified>
<Etag>0x1</Etag><Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType>
<CopyStatus>pending</CopyStatus></Properties></Blob>
<Blob><Name>in/b.csv</Name><Properties><Last-Modified>Wed, 25 Nov 2026 12:00:00 GMT</Last-Modified>
<Etag>0x2</Etag><Content-Length>5</Content-Length><BlobType>BlockBlob</BlobType>
<CopyStatus>success</CopyStatus></Properties></Blob></Blobs><NextMarker/></EnumerationResults>"""
    asked: list[str] = []

    async def properties(_: web.Request) -> web.Response:
        headers = {"ETag": '"0x1"', "x-ms-blob-type": "BlockBlob", "x-ms-copy-status": "pending"}
        return web.Response(
            headers={
                **headers,
                "Last-Modified": "Wed, 25 Nov 2026 12:00:00 GMT",
                "Content-Length": "0",
            }
        )

    async def listing(request: web.Request) -> web.Response:
        asked.append(request.query["include"])
        return web.Response(text=listed, content_type="application/xml")

    app = web.Application()
    app.router.add_route("HEAD", "/data/in/a.csv", properties)
    app.router.add_get("/data", listing, allow_head=False)
    async with serve(app) as url:
        there = ContainerRef(account="hearts", account_url=url, container="data")
        storage = AzureLandingStorage(lambda _: BlobServiceClient(url, retry_total=0))
        seen = await storage.blob(there, "in/a.csv")
        files = await storage.folder(there, "in")
        await storage.close()
    assert isinstance(seen, Blob)
    assert seen.copying
    assert not isinstance(files, Forbidden)
    assert [file.copying for file in files] == [True, False]
    assert [sorted(names.split(",")) for names in asked] == [["copy", "metadata"]]


async def test_a_folder_holds_what_lies_directly_in_it(
    container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    """Nested files are not scored by the endpoint; directories of hierarchical namespaces appear
    as empty blobs."""
    folder = f"landing/{uuid.uuid4().hex} 100%/b+1"
    for name in ("2.png", "1.png", "nested/3.png"):
        await container.upload_blob(f"{folder}/{name}", b"1")
    await container.upload_blob(f"{folder}-beside.png", b"1")
    await container.upload_blob(f"{folder}/nested", b"", metadata={"hdi_isfolder": "true"})
    await container.upload_blob(f"{folder}/by-azcopy", b"", metadata={"Hdi_isfolder": "True"})
    await container.upload_blob(f"{folder}/", b"")
    files = await landing_storage.folder(place, folder)
    assert not isinstance(files, Forbidden)
    assert [file.path for file in files] == [f"{folder}/1.png", f"{folder}/2.png"]


async def test_the_newest_of_a_folder_is_found_at_any_depth(
    container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    """Directories of hierarchical namespaces are no files, whenever they were made."""
    folder = f"scored/{uuid.uuid4().hex}"
    assert await landing_storage.newest(place, folder) is None
    await container.upload_blob(f"{folder}/z.csv", b"1")
    await asyncio.sleep(1.1)  # times have whole seconds
    await container.upload_blob(f"{folder}/nested/deeper/a.csv", b"12")
    await asyncio.sleep(1.1)
    await container.upload_blob(f"{folder}/nested", b"", metadata={"Hdi_isfolder": "true"})
    await container.upload_blob(f"{folder}/newer/", b"")
    await container.upload_blob(f"{folder}-beside.csv", b"123")
    newest = await landing_storage.newest(place, folder)
    assert isinstance(newest, Blob)
    assert (newest.path, newest.size) == (f"{folder}/nested/deeper/a.csv", 2)


async def test_properties_and_listings_tell_the_same_of_a_file(
    container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    folder = f"landing/{uuid.uuid4().hex}"
    metadata = {"Landfall_Order": 'No. "1" \\ 100%', "landfall_empty": "", "owner": "ward-3"}
    await container.upload_blob(f"{folder}/1.png", b"1", metadata=metadata)
    seen = await landing_storage.blob(place, f"{folder}/1.png")
    assert isinstance(seen, Blob)
    assert seen.metadata == metadata
    assert await landing_storage.folder(place, folder) == [seen]
    assert (await landing_storage.page(place, folder, "")).blobs == [seen]
    assert await landing_storage.newest(place, folder) == seen


async def test_where_the_app_may_not_look_it_says_so(
    place: ContainerRef, container: object
) -> None:
    refused = _storage("https://elsewhere.example")
    assert isinstance(await refused.blob(place, "landing/a"), Forbidden)
    assert isinstance(await refused.folder(place, "landing"), Forbidden)
    assert isinstance(await refused.newest(place, "landing"), Forbidden)
    await refused.close()


async def test_a_storage_that_is_away_is_unavailable(landing_storage: AzureLandingStorage) -> None:
    nowhere = ContainerRef(account="a", account_url="https://localhost:1/a", container="c")
    with pytest.raises(Unavailable):
        await landing_storage.blob(nowhere, "landing/a")


async def test_an_identity_endpoint_that_is_away_is_not_taken_for_a_refusal(
    place: ContainerRef,
) -> None:
    """Else an output would be announced as not verified, and a deleted file be submitted."""

    class Away(StaticCredential):
        async def get_token(self, *_: str, **__: Any) -> AccessToken:
            raise CredentialUnavailableError("the endpoint does not answer")

    away = Access(Identity(lambda: Away("")), "scope", lambda _: None)
    storage = AzureLandingStorage(
        lambda place: BlobServiceClient(
            place.account_url, transport=StorageTransport(away), retry_total=0
        )
    )
    with pytest.raises(Unavailable):
        await storage.blob(place, "landing/a")
    await storage.close()


# --- receipts -----------------------------------------------------------------------------------


async def test_a_receipt_is_left_as_json_and_never_written_again(
    container: ContainerClient, place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    path = f"scored/{uuid.uuid4().hex}/predictions.csv.receipt.json"
    await landing_storage.leave(place, path, b"{}")
    await landing_storage.leave(place, path, b"[]")
    written = await container.download_blob(path)
    assert await written.readall() == b"{}"
    assert written.properties.content_settings.content_type == "application/json"


async def test_a_receipt_that_may_not_be_left_says_which_role_is_missing(
    place: ContainerRef,
) -> None:
    refused = _storage("https://elsewhere.example")
    with pytest.raises(Denied, match=r"403: .* role Storage Blob Data Contributor"):
        await refused.leave(place, "scored/receipt.json", b"{}")
    await refused.close()


async def test_a_receipt_without_its_container_or_storage_is_told(
    place: ContainerRef, landing_storage: AzureLandingStorage
) -> None:
    with pytest.raises(SetupError, match="there is no container nowhere"):
        await landing_storage.leave(
            msgspec.structs.replace(place, container="nowhere"), "scored/receipt.json", b"{}"
        )
    away = msgspec.structs.replace(place, account_url="https://localhost:1/a")
    with pytest.raises(Unavailable):
        await landing_storage.leave(away, "scored/receipt.json", b"{}")


# --- listing for the sweep ----------------------------------------------------------------------


async def test_a_listing_is_gone_through_page_by_page_and_shows_no_directories(
    container: ContainerClient,
    landing_storage: AzureLandingStorage,
    place: ContainerRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scoring.azure.landing_storage.PAGE", 2)
    folder = f"landing/{uuid.uuid4()}/"
    for name in ("1.csv", "2.csv", "deep/3.csv", "😀.csv"):
        await container.upload_blob(folder + name, b"1")
    await container.upload_blob(f"{folder}deep", b"", metadata={"HDI_isfolder": "TRUE"})
    await container.upload_blob(f"{folder}deep/", b"")
    await container.upload_blob("landing-elsewhere.csv", b"1", overwrite=True)
    found: list[Blob] = []
    page = await landing_storage.page(place, folder, "")
    while True:
        found += page.blobs
        assert all(blob.modified <= page.now for blob in page.blobs)
        if not page.next:
            break
        page = await landing_storage.page(place, folder, page.next)
    names = [blob.path.removeprefix(folder) for blob in found]
    assert names == ["1.csv", "2.csv", "deep/3.csv", "😀.csv"]
    properties = await container.get_blob_client(found[0].path).get_blob_properties()
    assert found[0].etag == properties.etag.strip('"')


async def test_a_container_that_may_not_be_listed_or_is_not_there_is_a_set_up(
    landing_storage: AzureLandingStorage, place: ContainerRef
) -> None:
    with pytest.raises(SetupError, match="there is no container nowhere"):
        await landing_storage.page(msgspec.structs.replace(place, container="nowhere"), "", "")
    refused = _storage("https://elsewhere.example")
    with pytest.raises(SetupError):
        await refused.page(place, "", "")
    await refused.close()
