"""Connections and names from app settings, in the forms that Azure Functions defines."""

import os
import re
from typing import Any

from azure.identity.aio import ManagedIdentityCredential
from azure.storage.queue.aio import QueueServiceClient

Json = dict[str, Any]

# Seconds between two attempts of a request: the SDK's default of 15 is too long here.
_RETRIES: Json = {"initial_backoff": 1, "increment_base": 1, "random_jitter_range": 0}


class MissingSettingError(Exception):
    """A setting that a function needs is missing; the function is disabled."""


def queue_service(connection: str) -> QueueServiceClient:
    """Return the queue service of a trigger's connection.

    Raises MissingSettingError if the settings have neither a connection string nor a URI for it.
    """
    secret = os.environ.get(connection)
    if secret:
        return QueueServiceClient.from_connection_string(secret, **_RETRIES)
    url = os.environ.get(f"{connection}__queueServiceUri")
    if not url:
        raise MissingSettingError(
            f"Storage account connection string '{connection}' does not exist"
        )
    client_id = os.environ.get(f"{connection}__clientId")
    return QueueServiceClient(url, ManagedIdentityCredential(client_id=client_id), **_RETRIES)


def resolved(text: str) -> str:
    """Replace each `%NAME%` with the setting of that name. Raises MissingSettingError."""

    def setting(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise MissingSettingError(f"'%{found[1]}%' does not resolve to a value")
        return value

    return re.sub(r"%([^%]+)%", setting, text)


def seconds(duration: str) -> float:
    """Return the seconds of a duration of host.json, `hh:mm:ss`."""
    hours, minutes, rest = duration.split(":")
    return 3_600 * int(hours) + 60 * int(minutes) + float(rest)
