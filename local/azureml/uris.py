"""The forms of the URI of an input or an output, and the storage that each names."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from local.azureml.workspace import Workspace
from local.names import ACCOUNT_KEYS, RESOURCE_GROUP, SUBSCRIPTION, WORKSPACE

_IN_WORKSPACE = (
    r"subscriptions/(?P<s>[^/]+)/resourcegroups/(?P<g>[^/]+)"
    r"(?:/providers/microsoft\.machinelearningservices)?/workspaces/(?P<w>[^/]+)"
)
_DATASTORE = re.compile(
    rf"azureml://(?:{_IN_WORKSPACE}/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)",
    re.IGNORECASE | re.DOTALL,
)
_ASSETS = (
    re.compile(
        r"azureml://locations/[^/]+/workspaces/(?P<w>[^/]+)"
        r"/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"/{_IN_WORKSPACE}/data/(?P<name>[^/]+)/versions/(?P<version>[^/]+)/?", re.IGNORECASE
    ),
)
_OURS = {"s": SUBSCRIPTION, "g": RESOURCE_GROUP, "w": WORKSPACE}


@dataclass(frozen=True)
class BlobPath:
    """A file or folder in our storage."""

    account: str
    container: str
    path: str


@dataclass(frozen=True)
class WebUrl:
    """A file on the web, without authorization."""

    url: str


ContainerRef = BlobPath | WebUrl


def input_place(uri: str, kind: str, workspace: Workspace, *, decode_percent: bool) -> ContainerRef:
    """Return where an input of a kind (UriFile, UriFolder) is.

    Raises:
        ValueError: the URI has no known form, or names something that does not exist.
    """
    if (found := _asset(uri)) is not None:
        uri = _uri_of_asset(found, kind, workspace)
    if uri.startswith("https://"):
        return _own_blob(uri) or WebUrl(uri)
    return _in_datastore(uri, workspace, decode_percent=decode_percent)


def stored_place(uri: str, workspace: Workspace, *, decode_percent: bool) -> BlobPath:
    """Return where the files of a code or a model are in our storage.

    Raises:
        ValueError: the URI does not name a file or folder in our storage.
    """
    if not uri.lower().startswith("https://"):
        place = _in_datastore(uri, workspace, decode_percent=decode_percent)
    else:
        own = _own_blob(uri)
        if own is None:
            raise ValueError(f"{uri!r} is not in a storage account of this workspace")
        place = own
    if not place.path.strip("/"):
        raise ValueError(f"{uri!r} names no file or folder in the container")
    return place


def is_asset(uri: str) -> bool:
    """Return whether a URI names a data asset."""
    return _asset(uri) is not None


def output_place(uri: str, workspace: Workspace, *, decode_percent: bool) -> BlobPath:
    """Return where to write an output file.

    Raises:
        ValueError: the URI does not name a file on a datastore in blob storage.
    """
    found = _DATASTORE.fullmatch(uri)
    store = workspace.datastores.get(found["datastore"]) if found else None
    if store is not None and store.kind != "AzureBlob":
        raise ValueError(f"datastore {store.name!r} is not in blob storage, as outputs must be")
    place = _in_datastore(uri, workspace, decode_percent=decode_percent)
    if place.path.endswith("/") or not place.path:
        raise ValueError("the output must be a file, not a folder")
    return place


def _in_datastore(uri: str, workspace: Workspace, *, decode_percent: bool) -> BlobPath:
    found = _DATASTORE.fullmatch(uri)
    if found is None:
        raise ValueError("the URI has none of the forms that a batch endpoint accepts")
    _check_ours(found)
    store = workspace.datastores.get(found["datastore"])
    if store is None:
        raise ValueError(f"the workspace has no datastore {found['datastore']!r}")
    path = unquote(found["path"]) if decode_percent else found["path"]
    return BlobPath(store.account, store.container, path)


def _asset(uri: str) -> re.Match[str] | None:
    return next(filter(None, (form.fullmatch(uri) for form in _ASSETS)), None)


def _uri_of_asset(found: re.Match[str], kind: str, workspace: Workspace) -> str:
    _check_ours(found)
    asset = workspace.data_asset(found["name"], found["version"])
    if asset is None:
        raise ValueError(f"there is no data asset {found['name']}:{found['version']}")
    registered, uri = asset
    if registered.replace("_", "") != kind.lower():
        raise ValueError(f"data asset {found['name']}:{found['version']} is a {registered}")
    return uri


def _check_ours(found: re.Match[str]) -> None:
    for name, value in found.groupdict().items():
        ours = _OURS.get(name)
        if ours is not None and value is not None and value.lower() != ours.lower():
            raise ValueError(f"{value!r} is not this workspace's: expected {ours!r}")


def _own_blob(url: str) -> BlobPath | None:
    """Return the blob of a URL in our storage, which has the account in its host or its path."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path).removeprefix("/")
    label, _, domain = host.partition(".")
    if label in ACCOUNT_KEYS and domain in ("localhost", "blob.core.windows.net"):
        account = label
    elif host == "localhost" and path.partition("/")[0] in ACCOUNT_KEYS:
        account, _, path = path.partition("/")
    else:
        return None
    container, _, name = path.partition("/")
    return BlobPath(account, container, name)
