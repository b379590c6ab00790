"""URIs: what names a path, and what may be sent a token."""

import re
from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scoring.uris import (
    blob_url,
    datastore_uri,
    has_dot_segment,
    may_receive_token,
    safe_name,
    same_datastore_path,
    subject,
)

LONG = "azureml://subscriptions/s/resourceGroups/rg/workspaces/ws/datastores/ds/paths/"
SHORT = "azureml://datastores/ds/paths/"


# --- paths on a datastore -----------------------------------------------------------------------


def test_a_path_stands_literally_in_a_datastore_uri() -> None:
    assert datastore_uri("ds", "a b/ü%.csv", "literal") == SHORT + "a b/ü%.csv"


def test_a_path_stands_percent_encoded_in_a_datastore_uri_if_the_app_says_so() -> None:
    assert datastore_uri("ds", "a b/ü%.csv", "percent-encoded") == SHORT + "a%20b/%C3%BC%25.csv"


@given(path=st.text())
def test_a_percent_encoded_path_is_ascii_and_decodes_to_the_path(path: str) -> None:
    uri = datastore_uri("ds", path, "percent-encoded")
    assert uri.isascii()
    assert unquote(uri.removeprefix(SHORT)) == path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHORT + "scored/a.csv", SHORT + "scored/a.csv"),
        (SHORT + "scored/a.csv", LONG + "scored/a.csv"),
        (LONG + "scored/a%2Ecsv", SHORT + "scored/a.csv"),
        (SHORT + "scored/a/", SHORT + "scored/a"),
    ],
)
def test_short_and_long_form_escaped_or_not_name_one_path(one: str, other: str) -> None:
    assert same_datastore_path(one, other)
    assert same_datastore_path(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SHORT + "scored/a.csv", SHORT + "scored/b.csv"),
        (SHORT + "scored/a.csv", "azureml://datastores/other/paths/scored/a.csv"),
        (SHORT + "scored/a.csv", SHORT + "scored/a.csv.bak"),
        (SHORT + "scored/a.csv", "https://landingzone.blob.core.windows.net/c/scored/a.csv"),
        ("", ""),
        ("https://example.org/a", "https://example.org/a"),
    ],
)
def test_other_uris_do_not_name_the_same_path(one: str, other: str) -> None:
    """What is no path on a datastore is never the same as anything."""
    assert not same_datastore_path(one, other)
    assert not same_datastore_path(other, one)


@pytest.mark.parametrize(
    "dots",
    [
        ".",
        "..",
        "%2e",
        "%2E.",
        ".%252e",
        "%2525252525252e.",
        "%25%32%65",
        "..%00",
        ".\t.",
        ".%0d%0A.",
        "\x7f..",
        ".. ",
        "%20..",
        "..\u00a0",
    ],
)
@pytest.mark.parametrize("around", ["{}", "{}/a", "a/{}", "a/{}/b", "a\\{}\\b", "a%2f{}%5Cb"])
def test_a_segment_of_dots_is_found_however_it_is_written(dots: str, around: str) -> None:
    assert has_dot_segment(around.format(dots))


@pytest.mark.parametrize(
    "path",
    ["", "/", "a//b", "...", "a..", "..a", "a. .b", ". .", "%2e%2e%2e", "%", "%2", "a%2fb", "‥"],
)
def test_dots_that_are_a_part_of_a_name_are_no_segment(path: str) -> None:
    assert not has_dot_segment(path)


@given(path=st.text(), prefix=st.text())
def test_nothing_that_is_resolved_lies_elsewhere_than_it_says(path: str, prefix: str) -> None:
    """A path without such segments is what the standard library makes of it, too."""
    assume(not has_dot_segment(path) and "//" not in path and path)
    url = urljoin("https://store/c/", "x/" + quote(path))
    assert url == "https://store/c/x/" + quote(path)


# --- blobs and events ---------------------------------------------------------------------------


@given(path=st.text(min_size=1))
def test_the_url_of_a_blob_is_ascii_and_decodes_to_its_path(path: str) -> None:
    url = blob_url("https://landingzone.blob.core.windows.net/", "c", path)
    assert url.isascii()
    assert unquote(urlsplit(url).path) == f"/c/{path}"


def test_a_subject_is_that_of_the_event_that_told_of_the_blob() -> None:
    assert subject("c", "a b.csv") == "/blobServices/default/containers/c/blobs/a b.csv"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("patients-2026_11.csv", "patients-2026_11.csv"),
        ("Ärzte & Co", "_rzte___Co"),
        ("", "_"),
        (".", "_"),
        ("..", "__"),
        (".hidden", "_hidden"),
        ("dr.", "dr_"),
        ("a/b\\c", "a_b_c"),
        ("{key}", "_key_"),
        ("x" * 63 + ".csv", "x" * 63 + "_"),
    ],
)
def test_a_name_keeps_what_is_safe_in_an_output(name: str, kept: str) -> None:
    assert safe_name(name) == kept


@given(name=st.text())
def test_a_safe_name_is_a_whole_segment_that_every_tool_takes(name: str) -> None:
    kept = safe_name(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", kept)
    assert not kept.startswith(".")
    assert not kept.endswith(".")


# --- tokens -------------------------------------------------------------------------------------

ALLOWED = ("ml.azure.com", ".core.windows.net", "localhost", "")


@pytest.mark.parametrize(
    "url",
    [
        "https://ml.azure.com",
        "https://heart.westeurope.inference.ml.azure.com/jobs",
        "https://HEART.ML.Azure.COM/jobs",
        "https://ml.azure.com./jobs",
        "https://ml.azure.com:443/jobs",
        "https://ml.azure.com?api-version=1",
        "https://landingzone.blob.core.windows.net/c/a%20b.csv?comp=metadata",
        "https://localhost:10000/landingzone",
        "HTTPS://ml.azure.com/jobs",
    ],
)
def test_a_token_may_go_to_an_allowed_host_over_https(url: str) -> None:
    assert may_receive_token(url, ALLOWED)


@pytest.mark.parametrize(
    "url",
    [
        "http://ml.azure.com/jobs",
        "wss://ml.azure.com/jobs",
        "//ml.azure.com/jobs",
        "ml.azure.com/jobs",
        "https:ml.azure.com/jobs",
        "https:///ml.azure.com",
        "https://",
        "",
        # other hosts
        "https://ml.azure.com.evil.org/jobs",
        "https://evilml.azure.com/jobs",
        "https://azure.com/jobs",
        "https://evil.org/ml.azure.com",
        "https://evil.org?https://ml.azure.com",
        "https://evil.org#.ml.azure.com",
        "https://evil.org:443.ml.azure.com",
        "https://localhost.evil.org",
        "https://127.0.0.1",
        "https://[::1]/",
        "https://[::1",
        "https://[::ffff:ml.azure.com]/",
        # users
        "https://ml.azure.com@evil.org/jobs",
        "https://me:secret@ml.azure.com/jobs",
        "https://@ml.azure.com/jobs",
        # what two readers may understand differently
        "https://evil.org\\.ml.azure.com/jobs",
        "https://evil.org\\@ml.azure.com/jobs",
        "https://ml.azure.com\\@evil.org/jobs",
        "https://evil.org\n.ml.azure.com/jobs",
        "https://evil.org\t.ml.azure.com/jobs",
        "https://evil.org%2F.ml.azure.com/jobs",
        "https://evil.org%00.ml.azure.com/jobs",
        " https://ml.azure.com/jobs",
        "https://ml.azure.com/jobs\r\nHost: evil.org",
        "https://ml.azure.com..",
        "https://.ml.azure.com",
        "https://evil..ml.azure.com",
        # characters that look like, or become, others
        "https://ml。azure。com/jobs",
        "https://evil.org\uff0f.ml.azure.com/jobs",
        "https://evil.org\u2100.ml.azure.com/jobs",
        "https://m\u217c.azure.com/jobs",
        "https://бad.ml.azure.com/jobs",  # noqa: RUF001 - a Cyrillic letter is the point
    ],
)
def test_a_token_may_go_nowhere_else(url: str) -> None:
    assert not may_receive_token(url, ALLOWED)


def test_without_allowed_hosts_a_token_goes_nowhere() -> None:
    assert not may_receive_token("https://ml.azure.com", ())


@given(
    url=st.text()
    | st.builds("https://{}{}ml.azure.com{}".format, st.text(), st.text(max_size=1), st.text())
)
def test_whatever_may_receive_a_token_is_read_alike_by_the_standard_library(url: str) -> None:
    """No URL makes the check raise, and none passes it whose host is another one to others."""
    if may_receive_token(url, ["ml.azure.com"]):
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.username is None
        assert f".{parts.hostname}".removesuffix(".").endswith(".ml.azure.com")
