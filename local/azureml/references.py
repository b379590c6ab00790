"""References from one resource to another: ARM ids of this workspace."""

from local.azureml.reading import InvalidBody, Mistake
from local.azureml.resources import Resource, Resources
from local.names import WORKSPACE_ID


def referenced(resources: Resources, arm_id: str, kind: str, target: str) -> Resource:
    """Return the resource that an ARM id names: a compute, or a version of an asset.

    Raises:
        InvalidBody: the id is not one of this workspace and kind, or the resource does not exist.
    """
    prefix, wanted = f"{WORKSPACE_ID}/", arm_id.rstrip("/")
    form = f"{kind}/{{name}}" + ("" if kind == "computes" else "/versions/{version}")
    path = wanted[len(prefix) :]
    segments, expected = path.lower().split("/"), form.split("/")
    fits = len(segments) == len(expected) and segments[::2] == expected[::2] and all(segments)
    if not wanted.lower().startswith(prefix.lower()) or not fits:
        message = f"{target}: {arm_id!r} is not an ARM id of this workspace: {prefix}{form}"
        raise InvalidBody(Mistake("InvalidReference", message, target))
    found = resources.get(path)
    if found is None:
        message = f"{target}: there is no {path}"
        raise InvalidBody(Mistake("ReferenceNotFound", message, target))
    return found
