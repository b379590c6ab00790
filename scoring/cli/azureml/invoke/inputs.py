"""The input of a batch job: in every form that a batch endpoint accepts, or on this machine.

The forms are those of "Deploy models using batch endpoints with REST APIs" in the Azure
documentation.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from scoring.cli.azureml.deploy.uploads import upload
from scoring.cli.failures import Refused, UsageError
from scoring.cli.session import Session
from scoring.routes.route import Kind

_IN_WORKSPACE = r"subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+"
_AS_IT_IS = re.compile(
    rf"azureml://(?:{_IN_WORKSPACE}/)?datastores/[^/]+/paths/.+"
    r"|azureml://locations/[^/]+/workspaces/[^/]+/data/[^/]+/versions/[^/]+/?"
    rf"|/{_IN_WORKSPACE}/data/[^/]+/versions/[^/]+/?"
    r"|https://.+",
    re.IGNORECASE | re.DOTALL,
)
_DATA_ASSET = re.compile(r"azureml:(?P<name>[^/:@]+):(?P<version>[^/:@]+)")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://|azureml:", re.IGNORECASE)
_SECRET = re.compile(r"https?://(?:[^/]*@|[^?#]*[?#])", re.IGNORECASE)
_FORMS = (
    "a local path, azureml:NAME:VERSION, azureml://datastores/STORE/paths/PATH, the same with"
    " subscriptions/…/workspaces/…/ in front, azureml://locations/…/data/NAME/versions/VERSION,"
    " the ARM id of a data asset, or https://…"
)


@dataclass(frozen=True, kw_only=True)
class DataAsset:
    """A data asset of the workspace."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to score, as it was given."""

    kind: Kind
    where: str | DataAsset | Path  # a URI for the endpoint, a data asset, a local path


def source(file: str | None, folder: str | None) -> Source:
    """Read `--file` and `--folder`.

    Raises:
        UsageError: not exactly one is given, or its form is not accepted.
    """
    if file is not None and folder is None:
        return Source(kind="file", where=_where("--file", file))
    if folder is not None and file is None:
        return Source(kind="folder", where=_where("--folder", folder))
    raise UsageError("name what to score: give either --file or --folder")


async def resolved(session: Session, source: Source) -> str:
    """Return the URI of what to score; a local path is uploaded first.

    Raises:
        UsageError: the local path cannot be read.
        Refused: there is no such data asset, or it is of the other kind.
    """
    match source.where:
        case DataAsset() as asset:
            return await _asset_id(session, asset, source.kind)
        case Path() as path:
            return (await upload(session, path)).uri
        case uri:
            return uri


def _where(option: str, argument: str) -> str | DataAsset | Path:
    if _SECRET.match(argument):
        raise UsageError(
            f"{option}: the URL has a query, a fragment or a user: everybody who may read the batch"
            " job could read a SAS or password in it. Give the identity that invokes a role instead"
        )
    if _AS_IT_IS.fullmatch(argument):
        return argument
    if asset := _DATA_ASSET.fullmatch(argument):
        return DataAsset(name=asset["name"], version=asset["version"])
    if scheme := _SCHEME.match(argument):
        shown = argument if scheme[0].lower().startswith("azureml") else f"{scheme[0]}…"
        raise UsageError(f"{option} {shown}: expected {_FORMS}")
    return _local(option, argument)


def _local(option: str, argument: str) -> Path:
    path = Path(argument)
    if not path.exists():
        raise UsageError(f"{option} {argument}: there is no such file; expected {_FORMS}")
    if path.is_dir() != (option == "--folder"):
        other, what = ("--folder", "folder") if path.is_dir() else ("--file", "file")
        raise UsageError(f"{option} {argument}: it is a {what}: use {other}")
    return path


async def _asset_id(session: Session, asset: DataAsset, kind: Kind) -> str:
    path = f"data/{quote(asset.name, safe='')}/versions/{quote(asset.version, safe='')}"
    what = f"data asset {asset.name}:{asset.version}"
    document = await session.arm.existing(path, what)
    registered = str((document.get("properties") or {}).get("dataType", "")).lower()
    if registered != f"uri_{kind}":
        raise Refused(f"{what} is a {registered}, not a uri_{kind}: --{kind} cannot score it")
    return session.arm.id(path)
