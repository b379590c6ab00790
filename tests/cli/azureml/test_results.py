"""Where the files of an output go on this machine."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scoring.cli.azureml.job.datastore_files import DatastoreFiles
from scoring.cli.azureml.job.results import Output, download, read_output
from scoring.cli.console import Console
from scoring.cli.failures import Refused
from tests.factories import blob


class _Files:
    """Blobs whose content is their path."""

    def __init__(self, *paths: str) -> None:
        self.blobs = [blob(path) for path in paths]
        self.place = SimpleNamespace(container="c")
        self.service = self

    def url(self, path: str) -> str:
        return path

    def get_blob_client(self, _: str, path: str) -> Any:
        async def chunks() -> AsyncIterator[bytes]:
            yield path.encode()

        async def stream() -> Any:
            return SimpleNamespace(chunks=chunks)

        return SimpleNamespace(download_blob=stream)

    async def file(self, _: str) -> None:
        return None

    async def below(self, _: str) -> Any:
        return self.blobs


async def downloaded(folder: Path, *paths: str) -> dict[str, str]:
    files = cast("DatastoreFiles", _Files(*paths))
    output = await read_output(files, "store", "out/")
    assert isinstance(output, Output)
    await download(output, folder, Console(), force=False)
    return below(folder)


def below(folder: Path) -> dict[str, str]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text() for file in found}


async def test_files_lie_below_the_folder_as_in_the_output(tmp_path: Path) -> None:
    assert await downloaded(tmp_path / "job", "out/", "out/a/", "out/a/b.csv", "out/c") == {
        "a/b.csv": "out/a/b.csv",
        "c": "out/c",
    }


@pytest.mark.parametrize(
    "path", ["out/../x", "out//etc/x", "out/..", "out/.", "out/a/../../x", "out/a\0b"]
)
async def test_nothing_is_written_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(Refused, match="has a file named"):
        await downloaded(tmp_path / "job", path)
    assert below(tmp_path) == {}


async def test_two_files_that_would_be_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="two files that would both become"):
        await downloaded(tmp_path / "job", "out/a//b", "out/a/b")


async def test_no_file_that_is_there_is_taken_for_a_part(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "a.part").write_text("mine")
    (folder / "b.part").symlink_to(precious)
    (tmp_path / "job.part").write_text("mine")
    found = await downloaded(folder, "out/a", "out/b", "out/c.part", "out/c")
    assert found == {
        "a": "out/a",
        "b": "out/b",
        "c": "out/c",
        "c.part": "out/c.part",
        "a.part": "mine",
        "b.part": "mine",
    }
    assert [file.read_text() for file in (precious, tmp_path / "job.part")] == ["mine", "mine"]
