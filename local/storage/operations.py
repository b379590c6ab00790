"""A log of the operations on the blob service, named as in Azure's storage logs.

`GET /_admin/operations` lists them, oldest first; a query such as `?actor=…&container=…` filters by
any field of `Filter`. `DELETE /_admin/operations` clears the log.
"""

from collections.abc import Callable, Mapping
from urllib.parse import unquote

import msgspec
from aiohttp import web

from local import tokens
from local.changes import Changes
from local.names import ACCOUNT_KEYS

PATH = "/_admin/operations"

_NAMES = {
    ("blob", "PUT", ""): "PutBlob",
    ("blob", "PUT", "block"): "PutBlock",
    ("blob", "PUT", "blocklist"): "PutBlockList",
    ("blob", "PUT", "appendblock"): "AppendBlock",
    ("blob", "PUT", "page"): "PutPage",
    ("blob", "PUT", "metadata"): "SetBlobMetadata",
    ("blob", "PUT", "properties"): "SetBlobProperties",
    ("blob", "PUT", "tags"): "SetBlobTags",
    ("blob", "PUT", "tier"): "SetBlobTier",
    ("blob", "PUT", "snapshot"): "SnapshotBlob",
    ("blob", "PUT", "copy"): "AbortCopyBlob",
    ("blob", "GET", ""): "GetBlob",
    ("blob", "GET", "blocklist"): "GetBlockList",
    ("blob", "GET", "pagelist"): "GetPageRegions",
    ("blob", "GET", "metadata"): "GetBlobMetadata",
    ("blob", "GET", "tags"): "GetBlobTags",
    ("blob", "HEAD", ""): "GetBlobProperties",
    ("blob", "DELETE", ""): "DeleteBlob",
    ("container", "PUT", ""): "CreateContainer",
    ("container", "PUT", "metadata"): "SetContainerMetadata",
    ("container", "PUT", "acl"): "SetContainerACL",
    ("container", "GET", ""): "GetContainerProperties",
    ("container", "GET", "acl"): "GetContainerACL",
    ("container", "GET", "list"): "ListBlobs",
    ("container", "HEAD", ""): "GetContainerProperties",
    ("container", "DELETE", ""): "DeleteContainer",
    ("service", "GET", "list"): "ListContainers",
    ("service", "GET", "properties"): "GetBlobServiceProperties",
    ("service", "PUT", "properties"): "SetBlobServiceProperties",
    ("service", "POST", "userdelegationkey"): "GetUserDelegationKey",
}


class Target(msgspec.Struct, frozen=True):
    """The resource of a request; parts that the request does not name are empty."""

    account: str
    container: str
    blob: str

    @property
    def level(self) -> str:
        """The kind of resource."""
        return "blob" if self.blob else "container" if self.container else "service"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the blob service, and the status of its answer."""

    actor: str  # the `appid` of its token, or "key"
    account: str
    operation: str
    container: str
    blob: str
    status: int


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A filter for operations; a field that is None matches all."""

    actor: str | None = None
    account: str | None = None
    operation: str | None = None
    container: str | None = None
    blob: str | None = None

    def matches(self, operation: Operation) -> bool:
        """Return whether an operation has the values of the filter."""
        wanted = msgspec.structs.asdict(self).items()
        return all(value in (None, getattr(operation, field)) for field, value in wanted)


class Operations:
    """The log, and its admin path."""

    def __init__(self) -> None:
        self.log: list[Operation] = []
        self._changes = Changes()

    def add(self, operation: Operation) -> None:
        """Add an operation to the log."""
        self.log.append(operation)
        self._changes.happened()

    async def until(
        self, condition: Callable[[list[Operation]], bool], *, seconds: float
    ) -> list[Operation]:
        """Wait until a condition holds for the log; return the log. Raises TimeoutError."""
        await self._changes.until(lambda: condition(self.log), seconds=seconds)
        return self.log

    def install(self, app: web.Application) -> None:
        """Add the admin path to an app."""
        app.router.add_get(PATH, self._list)
        app.router.add_delete(PATH, self._clear)

    def matching(self, wanted: Filter) -> list[Operation]:
        """Return the operations that match a filter, oldest first."""
        return [operation for operation in self.log if wanted.matches(operation)]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.convert(dict(request.query), Filter)
        except msgspec.ValidationError as mistake:
            return web.Response(status=400, text=f"not a filter: {mistake}\n")
        found = msgspec.json.encode(self.matching(wanted))
        return web.Response(body=found, content_type="application/json")

    async def _clear(self, _: web.Request) -> web.Response:
        self.log.clear()
        return web.Response(status=204)


def actor(authorization: str | None) -> str:
    """Return the client that the token of a request names, or "key" if there is no token."""
    _, _, token = (authorization or "").partition(" ")
    return str(tokens.claims(token).get("appid", "key"))


def target(host: str, raw_path: str) -> Target:
    """Return account, container and blob of a request, as Azurite reads them.

    The account is the first label of the host, or else the first segment of the path.
    """
    path = unquote(raw_path.partition("?")[0]).replace("\\", "/")
    label = host.partition(".")[0]
    if label in ACCOUNT_KEYS:
        path = f"/{label}{path}"
    account, container, blob = [*path.removeprefix("/").split("/", 2), "", ""][:3]
    return Target(account, container, blob)


def name(level: str, method: str, comp: str, headers: Mapping[str, str]) -> str:
    """Return Azure's name of an operation; method and `comp` if that is not known."""
    if comp == "lease":
        return f"{headers.get('x-ms-lease-action', '').title()}{level.title()}Lease"
    found = _NAMES.get((level, method, comp), f"{method} {comp}".strip())
    copied = "x-ms-copy-source" in headers and "x-ms-blob-type" not in headers
    return "CopyBlob" if found == "PutBlob" and copied else found
