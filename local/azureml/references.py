"""What one resource says of another: ARM ids of this workspace."""

from local.azureml.reading import InvalidBody, Mistake
from local.azureml.resources import Resource, Resources
from local.names import WORKSPACE_ID


def referenced(resources: Resources, arm_id: str, kind: str, target: str) -> Resource:
    """Return the resource that an ARM id names: a compute, or a version of a kind of asset.

    Raises:
        InvalidBody: it is none of this workspace, or does not exist.
    """
    prefix, said = f"{WORKSPACE_ID}/", arm_id.rstrip("/")
    form = f"{kind}/{{name}}" + ("" if kind == "computes" else "/versions/{version}")
    path = said[len(prefix) :]
    segments, wanted = path.lower().split("/"), form.split("/")
    fits = len(segments) == len(wanted) and segments[::2] == wanted[::2] and all(segments)
    if not said.lower().startswith(prefix.lower()) or not fits:
        message = f"{target}: {arm_id!r} is no ARM id of this workspace: {prefix}{form}"
        raise InvalidBody(Mistake("InvalidReference", message, target))
    found = resources.get(path)
    if found is None:
        message = f"{target}: there is no {path}"
        raise InvalidBody(Mistake("ReferenceNotFound", message, target))
    return found
