"""What a command needs: settings, clients, the console. Opened once for each run."""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Group, Parameter, validators

from scoring.azure.clients import Clients
from scoring.cli.arm import Arm
from scoring.cli.console import Console
from scoring.cli.failures import UsageError
from scoring.ports import Services
from scoring.services import ROUTES_FILE, good_routes, make, read_routes_file
from scoring.settings import read_azure_settings, read_settings

_WORKSPACE_FILES = ("config.json", ".azureml/config.json")  # as the Azure ML SDKs look for them
_NAMES = {
    "subscription_id": "AZUREML_ARM_SUBSCRIPTION",
    "resource_group": "AZUREML_ARM_RESOURCEGROUP",
    "workspace_name": "AZUREML_ARM_WORKSPACE_NAME",
}
_OPTIONS = {
    "AZUREML_ARM_SUBSCRIPTION": "--subscription",
    "AZUREML_ARM_RESOURCEGROUP": "--resource-group",
    "AZUREML_ARM_WORKSPACE_NAME": "--workspace",
}
EVERYWHERE = Group("Every command", sort_key=100)

Limit = Annotated[int, Parameter(validator=validators.Number(gte=1))]
"""How many entries of a listing are shown."""


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, kw_only=True)
class WorkspaceOptions:
    """Options of every command, except `--output`."""

    subscription: str | None = None
    """Subscription of the workspace; by default AZUREML_ARM_SUBSCRIPTION, or config.json's."""
    resource_group: Annotated[str | None, Parameter(alias="-g")] = None
    """Its resource group; by default AZUREML_ARM_RESOURCEGROUP, or config.json's."""
    workspace: Annotated[str | None, Parameter(alias="-w")] = None
    """Its name; by default AZUREML_ARM_WORKSPACE_NAME, or config.json's."""
    routes: Path = ROUTES_FILE
    """The routes file."""
    settings: Path | None = None
    """A file with app settings: local.settings.json, or what
    `az functionapp config appsettings list` prints. The environment takes precedence."""

    @property
    def as_json(self) -> bool:
        """Whether the output is JSON, for programs."""
        raise NotImplementedError


@Parameter(name="*", group=EVERYWHERE)
@dataclass(frozen=True, kw_only=True)
class Options(WorkspaceOptions):
    """Options of every command; `main` reads them."""

    output: Annotated[Literal["text", "json"], Parameter(alias="-o")] = "text"
    """Format of what is printed; json is one document and nothing else."""

    @property
    def as_json(self) -> bool:
        """Whether the output is JSON, for programs."""
        return self.output == "json"


DEFAULTS = Options()


@dataclass(frozen=True, kw_only=True)
class Session:
    """For a command that works on the workspace."""

    console: Console
    clients: Clients
    arm: Arm


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """For a command that works although settings are wrong: none of them has been read yet."""

    console: Console
    values: Mapping[str, str]  # by name
    routes_file: Path


Needs = Parameter(parse=False)
"""Marks a parameter that `main` opens for the command: `session: Annotated[Session, Needs]`."""


@dataclass(frozen=True, kw_only=True)
class LedgerSession:
    """For a command that works on the ledger: the services of the function app."""

    console: Console
    services: Services


def environment(options: WorkspaceOptions) -> Mapping[str, str]:
    """Return the app settings: from options, else from the environment, else from files.

    The values of a settings file are put into the environment, where the credential reads them.

    Raises:
        UsageError: a file cannot be read.
    """
    if options.settings is not None:
        for name, value in read_settings_file(options.settings).items():
            os.environ.setdefault(name, value)
    given = {
        "AZUREML_ARM_SUBSCRIPTION": options.subscription,
        "AZUREML_ARM_RESOURCEGROUP": options.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": options.workspace,
    }
    return _workspace_file() | dict(os.environ) | {k: v for k, v in given.items() if v}


@contextlib.asynccontextmanager
async def open_session(console: Console, environment: Mapping[str, str]) -> AsyncIterator[Session]:
    """Open the clients of the workspace that the settings name.

    Raises:
        UsageError: no workspace is named.
        SetupError: the settings are wrong.
    """
    missing = [option for name, option in _OPTIONS.items() if not environment.get(name)]
    if missing:
        raise UsageError(
            f"no workspace is named: give {' and '.join(missing)}, or set {', '.join(_OPTIONS)}, or"
            " put its config.json into this folder"
        )
    settings = read_azure_settings(environment)
    clients = Clients(settings)
    try:
        yield Session(
            console=console,
            clients=clients,
            arm=Arm(clients.arm, settings.arm_url, settings.workspace_id),
        )
    finally:
        await clients.close()


@contextlib.asynccontextmanager
async def open_ledger_session(
    console: Console, environment: Mapping[str, str], routes_file: Path
) -> AsyncIterator[LedgerSession]:
    """Open the services as the function app does, with the routes that have no mistakes.

    Raises:
        SetupError: settings or routes are wrong, or the workspace refuses.
        Unavailable: the workspace does not list its datastores.
    """
    settings = read_settings(environment)
    routes, mistakes = read_routes_file(routes_file, environment)
    clients = Clients(settings)
    try:
        services = make(settings, routes, clients, remembers=False)
        routes, mistakes = good_routes(routes, mistakes, await services.workspace.places())
        for mistake in mistakes:
            console.warn(str(mistake))
        services = msgspec.structs.replace(services, routes=routes)
        with console.logging():
            yield LedgerSession(console=console, services=services)
    finally:
        await clients.close()


def read_settings_file(file: Path) -> dict[str, str]:
    """Read a local.settings.json, or the list that the Azure CLI prints.

    Raises:
        UsageError: it is neither.
    """
    document = _read_json(file)
    try:
        if isinstance(document, dict):
            values = document["Values"].items()
        else:
            values = ((entry["name"], entry["value"]) for entry in document)
        return {name: str(value) for name, value in values}
    except (AttributeError, KeyError, TypeError):
        raise UsageError(
            f'{file}: expected {{"Values": {{…}}}} as in local.settings.json, or the list that'
            " `az functionapp config appsettings list` prints"
        ) from None


def _workspace_file() -> dict[str, str]:
    """Read the nearest config.json of the Azure ML SDKs, in this folder or one above."""
    for file in _candidates():
        document = _read_json(file)
        if isinstance(document, dict) and all(name in document for name in _NAMES):
            return {setting: str(document[name]) for name, setting in _NAMES.items()}
    return {}


def _candidates() -> Iterator[Path]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        yield from (folder / name for name in _WORKSPACE_FILES if (folder / name).is_file())


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as failure:
        raise UsageError(f"{file}: {failure.strerror}") from None
    except ValueError as mistake:
        raise UsageError(f"{file}: not JSON: {mistake}") from None
