"""URIs: of inputs and outputs as the batch endpoint takes them, of blobs, and of event subjects."""

import re
from collections.abc import Iterable
from typing import Literal, get_args
from urllib.parse import quote, unquote

Escaping = Literal["literal", "percent-encoded"]
"""How a path stands in an `azureml://` URI.

Whether the service decodes percent escapes there is not documented, so it is a setting.
"""
ESCAPINGS: tuple[Escaping, ...] = get_args(Escaping)

_DATASTORE_PATH = re.compile(r"^azureml:.*?/datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)$")
_PLAIN_HTTPS = re.compile(
    r"https://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?)(?::(?P<port>[0-9]{1,5}))?(?:[/?#][!-\[\]-~]*)?",
    re.IGNORECASE | re.ASCII,
)
"""No user, no unicode, no backslash, no space: nothing that two parsers may read in two ways."""

_PERCENT = re.compile(r"%(?:25)+")  # encoded, however often
_DROPPED = re.compile(r"[\x00-\x1f\x7f]")  # by some readers of URLs
_SEPARATOR = re.compile(r"[/\\]")
_DECODINGS = 3  # more than any reader does

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 64


def escape(path: str, escaping: Escaping) -> str:
    """Return a path as it stands in a URI."""
    return quote(path, safe="/") if escaping == "percent-encoded" else path


def datastore_uri(datastore: str, path: str, escaping: Escaping) -> str:
    """Return the short form of the URI of a path on a datastore."""
    return f"azureml://datastores/{datastore}/paths/{escape(path, escaping)}"


def same_datastore_path(one: str, other: str) -> bool:
    """Tell whether two `azureml://` URIs, short or long form, escaped or not, name one path."""
    left, right = datastore_path(one), datastore_path(other)
    if left is None or right is None:
        return False
    return _plain(*left) == _plain(*right)


def datastore_path(uri: str) -> tuple[str, str] | None:
    """Return datastore and path as they stand in an `azureml://` URI, short or long form."""
    found = _DATASTORE_PATH.match(uri)
    return (found["datastore"], found["path"]) if found else None


def _plain(datastore: str, path: str) -> tuple[str, str]:
    return datastore, unquote(path).strip("/")


def has_dot_segment(path: str) -> bool:
    """Tell whether a segment of a path is `.` or `..`, or some reader would take it for one.

    Clients and servers resolve such a path: it names another place than it seems to. Some decode
    it before, take a backslash for a slash, or drop controls, and spaces at an end.
    """
    for _ in range(_DECODINGS):
        path = unquote(_PERCENT.sub("%", path))
    segments = _SEPARATOR.split(_DROPPED.sub("", path))
    return any(segment.strip() in (".", "..") for segment in segments)


def blob_url(account_url: str, container: str, path: str) -> str:
    """Return the URL of a blob or, for a path that ends in `/`, of a folder."""
    return f"{account_url.rstrip('/')}/{container}/{quote(path, safe='/')}"


def subject(container: str, path: str) -> str:
    """Return the subject that a BlobCreated event of this blob has."""
    return f"/blobServices/default/containers/{container}/blobs/{path}"


def path_in_subject(subject: str) -> str:
    """Return the path of the blob that such a subject names."""
    return subject.split("/", 6)[6]


def safe_name(name: str) -> str:
    """Return a name for use in an output: `[A-Za-z0-9._-]`, at most 64 characters.

    A dot at either end is replaced: the segments `.` and `..` cannot be addressed as blobs, and
    Azure advises against segments that end with one.
    """
    kept = _UNSAFE.sub("_", name)[:_LONGEST_NAME] or "_"
    return re.sub(r"^\.|\.$", "_", kept)


def host_and_port(url: str) -> tuple[str, int | None] | None:
    """Return host and port of a plain https URL, the port None if it names none; None: no such."""
    found = _PLAIN_HTTPS.fullmatch(url)
    if found is None:
        return None
    return found["host"].lower().removesuffix("."), int(found["port"]) if found["port"] else None


def may_receive_token(url: str, allowed_hosts: Iterable[str]) -> bool:
    """Tell whether a token may be sent to a URL: https, and the host or its suffix is allowed.

    Only plain URLs are: what readers of URLs understand differently is not worth a token.
    """
    there = host_and_port(url)
    if there is None:
        return False
    suffixes = [allowed.lower().strip(".") for allowed in allowed_hosts]
    return any(suffix and f".{there[0]}".endswith(f".{suffix}") for suffix in suffixes)
