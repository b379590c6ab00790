"""References in a file to what is registered in the workspace, or in a registry."""

import re
from dataclasses import dataclass

_FORM = re.compile(
    r"azureml:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?::(?P<version>[A-Za-z0-9._-]+)|@(?P<label>.+))?"
)
_ID = re.compile(r"(?:azureml:)?(?P<id>/subscriptions/.+)", re.IGNORECASE)
_REGISTRY = re.compile(r"azureml://registries/[^/]+/[a-z]+/[^/]+/versions/[^/]+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A reference: by name and version, or by the id that is sent."""

    name: str = ""
    version: str | None = None  # None: the latest
    id: str | None = None


def asset_reference(text: str) -> Reference:
    """Read a reference to a version of an asset.

    Raises:
        ValueError: the text is not one.
    """
    arm = _ID.fullmatch(text)
    if arm:
        return Reference(id=arm["id"].rstrip("/"))
    if _REGISTRY.fullmatch(text):
        return Reference(id=text)
    found = _FORM.fullmatch(text)
    if found is None or (found["label"] or "latest") != "latest":
        raise ValueError(f"{text!r} must be azureml:NAME:VERSION, azureml:NAME@latest, or an id")
    if found["version"] is None and found["label"] is None:
        raise ValueError(f"{text!r} names no version: use {text}@latest, or {text}:VERSION")
    return Reference(name=found["name"], version=found["version"])


def compute_reference(text: str) -> Reference:
    """Read a reference to a compute.

    Raises:
        ValueError: the text is not one.
    """
    arm = _ID.fullmatch(text)
    if arm:
        return Reference(id=arm["id"].rstrip("/"))
    name = text.removeprefix("azureml:")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{1,31}", name) or name.lower() == "local":
        raise ValueError(f"{text!r} must be azureml:NAME, or the id of a compute")
    return Reference(name=name)


def is_reference(text: str) -> bool:
    """Return whether a text is a reference, not a path or URI."""
    registered = text.startswith("azureml:") and not text.startswith("azureml://")
    return registered or bool(_ID.match(text)) or text.startswith("azureml://registries/")


def is_uri(text: str) -> bool:
    """Return whether a text is a URI, not a path on this machine."""
    return "://" in text or text.startswith(("azureml:", "runs:"))


def long_uri(uri: str, workspace_id: str) -> str:
    """Return a datastore URI in the long form, which registered versions need."""
    short = "azureml://datastores/"
    if not uri.startswith(short):
        return uri
    segments = workspace_id.strip("/").split("/")
    workspace = (
        f"subscriptions/{segments[1]}/resourceGroups/{segments[3]}/workspaces/{segments[-1]}"
    )
    return f"azureml://{workspace}/datastores/{uri.removeprefix(short)}"
