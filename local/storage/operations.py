"""Counting: a log of the requests to the blob service, in the words of Azure's storage logs.

`GET /_admin/operations` lists them, oldest first; a query like `?actor=…&container=…` by any field
of `Filter` narrows it. `DELETE /_admin/operations` forgets them.
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
    """What a request is about; what it does not name is empty."""

    account: str
    container: str
    blob: str

    @property
    def level(self) -> str:
        """The kind of thing that it is about."""
        return "blob" if self.blob else "container" if self.container else "service"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was passed on, and how it was answered."""

    actor: str  # `appid` of its token, or "key"
    account: str
    operation: str
    container: str
    blob: str
    status: int


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which operations; a field that is None takes all."""

    actor: str | None = None
    account: str | None = None
    operation: str | None = None
    container: str | None = None
    blob: str | None = None

    def takes(self, operation: Operation) -> bool:
        """Tell whether an operation has every wanted value."""
        wanted = msgspec.structs.asdict(self).items()
        return all(value in (None, getattr(operation, field)) for field, value in wanted)


class Operations:
    """The log, and its admin path."""

    def __init__(self) -> None:
        self.log: list[Operation] = []
        self._changes = Changes()

    def add(self, operation: Operation) -> None:
        """Note an operation."""
        self.log.append(operation)
        self._changes.happened()

    async def until(
        self, true_of: Callable[[list[Operation]], bool], *, seconds: float
    ) -> list[Operation]:
        """Wait until something is true of the operations so far. Raises TimeoutError."""
        await self._changes.until(lambda: true_of(self.log), seconds=seconds)
        return self.log

    def install(self, app: web.Application) -> None:
        """Add the admin path to an app."""
        app.router.add_get(PATH, self._list)
        app.router.add_delete(PATH, self._forget)

    def matching(self, wanted: Filter) -> list[Operation]:
        """Return the operations that a filter takes, oldest first."""
        return [operation for operation in self.log if wanted.takes(operation)]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.convert(dict(request.query), Filter)
        except msgspec.ValidationError as mistake:
            return web.Response(status=400, text=f"not a filter: {mistake}\n")
        found = msgspec.json.encode(self.matching(wanted))
        return web.Response(body=found, content_type="application/json")

    async def _forget(self, _: web.Request) -> web.Response:
        self.log.clear()
        return web.Response(status=204)


def actor(authorization: str | None) -> str:
    """Return who a request comes from: the client that its token names, or "key"."""
    _, _, token = (authorization or "").partition(" ")
    return str(tokens.claims(token).get("appid", "key"))


def target(host: str, raw_path: str) -> Target:
    """Take account, container and blob from a request as Azurite does.

    The account is the first segment of the path, or the first label of the host.
    """
    path = unquote(raw_path.partition("?")[0]).replace("\\", "/")
    label = host.partition(".")[0]
    if label in ACCOUNT_KEYS:
        path = f"/{label}{path}"
    account, container, blob = [*path.removeprefix("/").split("/", 2), "", ""][:3]
    return Target(account, container, blob)


def name(level: str, method: str, comp: str, headers: Mapping[str, str]) -> str:
    """Name an operation as Azure does, or by its method and `comp` if Azure's name is not known."""
    if comp == "lease":
        return f"{headers.get('x-ms-lease-action', '').title()}{level.title()}Lease"
    found = _NAMES.get((level, method, comp), f"{method} {comp}".strip())
    copied = "x-ms-copy-source" in headers and "x-ms-blob-type" not in headers
    return "CopyBlob" if found == "PutBlob" and copied else found
