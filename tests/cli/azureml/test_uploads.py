"""Uploads to the default datastore, on Azurite."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobClient, ContainerClient

from local.azure import Azure
from local.faults import Fault
from local.names import CONTAINER, LANDING_ACCOUNT
from scoring.cli.azureml.deploy import contents
from scoring.cli.azureml.deploy.contents import CHUNK, content_of
from scoring.cli.azureml.deploy.uploads import Uploaded, send, upload
from scoring.cli.datastores import default_datastore
from scoring.cli.failures import UsageError
from scoring.cli.session import Session
from scoring.errors import LandfallError


@pytest.fixture
async def container(azure: Azure) -> AsyncIterator[ContainerClient]:
    """The default datastore's container, as its owner sees it."""
    secret = azure.storage.connection_string(LANDING_ACCOUNT)
    async with ContainerClient.from_connection_string(secret, CONTAINER) as client:
        yield client


async def stored(container: ContainerClient, uploaded: Uploaded) -> dict[str, bytes]:
    """What lies where an upload went, by the path below it."""
    return {
        name.removeprefix(uploaded.path).lstrip("/"): await read(container, name)
        async for name in container.list_blob_names(name_starts_with=uploaded.path)
    }


async def read(container: ContainerClient, name: str) -> bytes:
    return bytes(await (await container.download_blob(name)).readall())


def model(folder: Path, **files: bytes) -> Path:
    """A folder with files; in their names `__` means `/`."""
    root = folder / "model"
    for name, content in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


async def test_a_folder_is_there_as_it_was(
    session: Session, container: ContainerClient, tmp_path: Path
) -> None:
    large = os.urandom(2 * CHUNK + 17)
    root = model(tmp_path, weights=large, sub__empty=b"", sub__deep__a=b"a")

    uploaded = await upload(session, root)

    assert await stored(container, uploaded) == {
        "weights": large,
        "sub/empty": b"",
        "sub/deep/a": b"a",
    }
    assert (uploaded.files, uploaded.size) == (3, len(large) + 1)
    assert (uploaded.sent_files, uploaded.sent_bytes) == (3, len(large) + 1)


async def test_an_upload_is_named_in_every_form_that_a_body_wants(
    session: Session, tmp_path: Path
) -> None:
    root = model(tmp_path, a=b"forms").rename(tmp_path / "my model")

    uploaded = await upload(session, root)

    digest = content_of(root).digest
    assert uploaded.datastore == "workspaceblobstore"
    assert uploaded.path == f"LocalUpload/{digest}/my model"
    assert uploaded.uri == (
        "azureml://subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/local"
        f"/workspaces/landfall/datastores/workspaceblobstore/paths/LocalUpload/{digest}/my model"
    )
    assert uploaded.url == (
        "https://landingzone.blob.core.windows.net/azureml-blobstore"
        f"/LocalUpload/{digest}/my%20model"
    )


async def test_a_single_file_keeps_its_name(
    session: Session, container: ContainerClient, tmp_path: Path
) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(b"pickled")

    uploaded = await upload(session, file)

    assert uploaded.path.endswith("/model.pkl")
    assert await stored(container, uploaded) == {"": b"pickled"}


async def test_what_is_there_is_not_sent_again(session: Session, tmp_path: Path) -> None:
    root = model(tmp_path, a=b"again", b=b"and again")
    first = await upload(session, root)

    second = await upload(session, root)

    assert (second.uri, second.files) == (first.uri, 2)
    assert (second.sent_files, second.sent_bytes) == (0, 0)


async def test_an_interrupted_upload_goes_on(
    azure: Azure, session: Session, container: ContainerClient, tmp_path: Path
) -> None:
    """Ctrl-C while the last of the files is on its way."""
    root = model(tmp_path, **{f"part{number}": b"%d" % number for number in range(6)}, z=b"last")
    hang = azure.storage.blob_faults.add(Fault(kind="hang-before", method="PUT", path="/model/z"))
    uploading = asyncio.ensure_future(upload(session, root))
    await azure.storage.blob_faults.until_met(hang)
    uploading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await uploading
    azure.storage.blob_faults.forget()

    uploaded = await upload(session, root)

    assert 1 <= uploaded.sent_files < 7
    assert len(await stored(container, uploaded)) == 7


async def test_a_blob_of_another_size_is_replaced(
    session: Session, container: ContainerClient, tmp_path: Path
) -> None:
    root = model(tmp_path, a=b"as it shall be")
    path = f"LocalUpload/{content_of(root).digest}/model/a"
    await container.upload_blob(path, b"half of")

    uploaded = await upload(session, root)

    assert uploaded.sent_files == 1
    assert await read(container, path) == b"as it shall be"


async def test_a_lost_connection_is_borne(
    azure: Azure, session: Session, container: ContainerClient, tmp_path: Path
) -> None:
    large = os.urandom(CHUNK + 1)
    root = model(tmp_path, a=large)
    azure.storage.blob_faults.add(
        Fault(kind="drop-before", method="PUT", path="comp=block&", times=1)
    )
    azure.storage.blob_faults.add(Fault(kind="drop-after", method="PUT", path="comp=blocklist"))

    uploaded = await upload(session, root)

    assert await stored(container, uploaded) == {"a": large}


async def test_a_storage_that_never_answers_fails_the_upload(
    azure: Azure, session: Session, tmp_path: Path
) -> None:
    root = model(tmp_path, a=b"unlucky")
    fault = Fault(kind="refuse", method="PUT", path="/model/a", times=-1, status=403)
    azure.storage.blob_faults.add(fault)
    try:
        with pytest.raises(LandfallError, match="Storage Blob Data Contributor"):
            await upload(session, root)
    finally:
        azure.storage.blob_faults.forget()


@pytest.mark.parametrize("size", [10, CHUNK + 10])
async def test_a_file_that_changes_meanwhile_leaves_no_blob(
    session: Session, container: ContainerClient, tmp_path: Path, size: int
) -> None:
    """Otherwise the blob would not have the content of its name, and nobody would notice."""
    before = os.urandom(size)
    root = model(tmp_path, a=before)
    content = content_of(root)
    (root / "a").write_bytes(os.urandom(size))

    with pytest.raises(UsageError, match="changed while it was uploaded"):
        await send(session, content, await default_datastore(session.arm))

    assert [
        n async for n in container.list_blob_names(name_starts_with=f"LocalUpload/{content.digest}")
    ] == []


async def test_a_file_that_changes_meanwhile_spoils_no_upload_of_somebody_else(
    session: Session,
    container: ContainerClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = os.urandom(CHUNK + 10)
    mine, theirs = model(tmp_path / "mine", a=before), model(tmp_path / "theirs", a=before)
    content, changing = content_of(mine), content_of(theirs)
    (theirs / "a").write_bytes(os.urandom(CHUNK + 10))
    store, commit = await default_datastore(session.arm), BlobClient.commit_block_list

    async def commit_later(blob: BlobClient, blocks: list[BlobBlock]) -> Any:
        with pytest.raises(UsageError, match="changed while it was uploaded"):
            await send(session, changing, store)
        return await commit(blob, blocks)

    monkeypatch.setattr(BlobClient, "commit_block_list", commit_later)
    there = await send(session, content, store)

    assert await read(container, f"{there.path}/a") == before


def test_the_digest_depends_on_paths_and_contents_only(tmp_path: Path) -> None:
    digests = [
        content_of(model(tmp_path / str(number), **files)).digest
        for number, files in enumerate(
            [
                {"a": b"1", "b": b"2"},
                {"b": b"2", "a": b"1"},
                {"a": b"2", "b": b"1"},
                {"a": b"12", "b": b""},
                {"a__b": b"1", "b": b"2"},
            ]
        )
    ]

    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_what_the_ignore_file_names_is_left_out(tmp_path: Path) -> None:
    """Hidden files belong to it, as for the Azure ML CLI."""
    root = model(tmp_path, a=b"", b__pyc=b"", keep__b__pyc=b"", pyc__x=b"", **{".hidden": b""})
    (root / ".gitignore").write_text("pyc\n!keep/b/pyc\n")

    names = {file.path for file in content_of(root).files}

    assert names == {"a", "keep/b/pyc", ".hidden", ".gitignore"}


def test_amlignore_goes_before_gitignore(tmp_path: Path) -> None:
    root = model(tmp_path, a=b"", b=b"", c=b"")
    (root / ".gitignore").write_text("a\n")
    (root / ".amlignore").write_text("b\n.*ignore\n")

    assert [file.path for file in content_of(root).files] == ["a", "c"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = model(tmp_path, a=b"content")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "b").write_bytes(b"b")
    (root / "linked").symlink_to(elsewhere)
    (root / "c").symlink_to(root / "a")
    assert [file.path for file in content_of(root).files] == ["a", "c", "linked/b"]

    (elsewhere / "back").symlink_to(root)
    with pytest.raises(UsageError, match="a link to a folder that contains it"):
        content_of(root)


def test_what_cannot_be_uploaded_says_why(tmp_path: Path) -> None:
    (tmp_path / "hollow" / "inner").mkdir(parents=True)
    with pytest.raises(UsageError, match="this folder has no files"):
        content_of(tmp_path / "hollow")
    with pytest.raises(UsageError, match="missing: No such file"):
        content_of(tmp_path / "missing")
    odd = model(tmp_path, a=b"")
    (odd / "back\\slash").write_bytes(b"")
    with pytest.raises(UsageError, match="backslash"):
        content_of(odd)
    (odd / ".amlignore").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="amlignore: it is not UTF-8"):
        content_of(odd)


def test_a_file_is_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "CHUNK", 3)
    file = tmp_path / "a"
    file.write_bytes(b"more than a chunk")

    (read_file,) = content_of(file).files

    assert read_file.sha256 == hashlib.sha256(b"more than a chunk").hexdigest()
    assert read_file.size == 17
