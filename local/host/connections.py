"""Connections and names from app settings, in the shapes of the Functions ecosystem."""

import os
import re
from typing import Any

from azure.identity.aio import DefaultAzureCredential
from azure.storage.queue.aio import QueueServiceClient


class MissingSettingError(Exception):
    """A function needs a setting that is not there; it is disabled."""


def queue_service(connection: str) -> QueueServiceClient:
    """Return the queue service that a trigger's connection names.

    Raises MissingSettingError if there is neither a connection string nor an address.
    """
    secret = os.environ.get(connection)
    if secret:
        return QueueServiceClient.from_connection_string(secret)
    url = os.environ.get(f"{connection}__queueServiceUri")
    if not url:
        raise MissingSettingError(
            f"Storage account connection string '{connection}' does not exist"
        )
    client_id = os.environ.get(f"{connection}__clientId")
    credential = DefaultAzureCredential(managed_identity_client_id=client_id)
    return QueueServiceClient(url, credential=credential)


def resolved(text: str) -> str:
    """Replace each `%NAME%` by the setting of that name. Raises MissingSettingError."""

    def setting(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise MissingSettingError(f"'%{found[1]}%' does not resolve to a value")
        return value

    return re.sub(r"%([^%]+)%", setting, text)


def seconds(duration: str) -> float:
    """Return the seconds of a duration in host.json: `hh:mm:ss`."""
    hours, minutes, rest = duration.split(":")
    return 3_600 * int(hours) + 60 * int(minutes) + float(rest)


Json = dict[str, Any]
