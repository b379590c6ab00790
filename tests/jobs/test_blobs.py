"""Blobs: which of them only stand for directories."""

import pytest

from tests.factories import blob


@pytest.mark.parametrize(
    ("path", "metadata"),
    [
        ("landing/x/", {}),
        ("landing/x", {"hdi_isfolder": "true"}),
        ("landing/x", {"Hdi_isfolder": "True"}),
        ("landing/x", {"HDI_ISFOLDER": "TRUE", "owner": "ward-3"}),
    ],
)
def test_an_empty_blob_that_says_so_stands_for_a_directory(
    path: str, metadata: dict[str, str]
) -> None:
    """AzCopy and Storage Explorer capitalise the names of metadata."""
    assert blob(path, size=0, metadata=metadata).is_directory
    assert not blob(path, size=1, metadata=metadata).is_directory, "nothing with content is lost"


@pytest.mark.parametrize("metadata", [{}, {"hdi_isfolder": "false"}, {"isfolder": "true"}])
def test_another_empty_blob_is_a_file(metadata: dict[str, str]) -> None:
    assert not blob("landing/x", size=0, metadata=metadata).is_directory
