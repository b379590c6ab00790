"""The app settings that point the function app and the commands at the local Azure."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from local.names import (
    APP_ACCOUNT,
    LANDING_ACCOUNT,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
)
from local.run_folder import RunFolder


def app_settings(folder: RunFolder, *, poll_seconds: int = 1, pace: float = 1.0) -> dict[str, str]:
    """Return the settings for the parts whose addresses are in the run folder.

    They have the same form as in Azure, with identities and no secrets; only the hosts differ.
    """
    parts: Mapping[str, Mapping[str, Any]] = folder.addresses()
    storage, identity = parts["storage"], parts["identity"]
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "AzureWebJobsStorage__blobServiceUri": f"{storage['blob']}/{APP_ACCOUNT}",
        "AzureWebJobsStorage__queueServiceUri": f"{storage['queue']}/{APP_ACCOUNT}",
        "AzureWebJobsStorage__credential": "managedidentity",
        f"LandingStorage_{LANDING_ACCOUNT}__blobServiceUri": f"{storage['blob']}/{LANDING_ACCOUNT}",
        "CompletionTopic__topicEndpointUri": str(parts["topic"]["url"]),
        "AZUREML_ARM_SUBSCRIPTION": SUBSCRIPTION,
        "AZUREML_ARM_RESOURCEGROUP": RESOURCE_GROUP,
        "AZUREML_ARM_WORKSPACE_NAME": WORKSPACE,
        "LANDFALL_ARM_URL": str(parts["azureml"]["arm"]),
        "LANDFALL_ALLOWED_HOSTS": "localhost",
        "LANDFALL_POLL_SECONDS": str(poll_seconds),
        "LANDFALL_PACE": str(pace),
        "IDENTITY_ENDPOINT": str(identity["endpoint"]),
        "IDENTITY_HEADER": str(identity["header"]),
        "SSL_CERT_FILE": str(folder.ca_file),
    }


@contextlib.contextmanager
def exported(folder: RunFolder) -> Iterator[None]:
    """Keep the settings in the file `env` of the run folder, for a shell: `. .local/env`."""
    lines = (
        f"export {name}={shlex.quote(value)}\n" for name, value in app_settings(folder).items()
    )
    folder.env_file.write_text("".join(lines))
    try:
        yield
    finally:
        folder.env_file.unlink(missing_ok=True)
