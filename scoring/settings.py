"""App settings, in the shapes of the Functions ecosystem. docs/settings.md lists them all."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast, get_args
from urllib.parse import quote

import msgspec

from scoring.errors import SetupError
from scoring.uris import Escaping, may_receive_token

LANDINGS_QUEUE = "landings"
POISON_QUEUE = f"{LANDINGS_QUEUE}-poison"  # as the host names it
STORAGE_CONNECTION = "AzureWebJobsStorage"
TOPIC_CONNECTION = "CompletionTopic"
LANDING_CONNECTION = "LandingStorage_"  # and the account's name

_ESCAPING = "LANDFALL_DATASTORE_URIS"
_DEFAULT_HOSTS = "management.azure.com,ml.azure.com,core.windows.net,eventgrid.azure.net"

_CONNECTION_STRING = re.compile(r"(?:^|;)(?:AccountName|BlobEndpoint|UseDevelopmentStorage)=")
_METADATA_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")

T = TypeVar("T")


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a storage account: by its address and an identity, or by a secret."""

    name: str = ""  # of the setting
    blob_url: str | None = None
    connection_string: str | None = None

    def __repr__(self) -> str:
        return f"Connection({self.blob_url or 'by connection string'})"


class AzureSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which workspace it is, and how it and the storage of its datastores are reached."""

    subscription: str
    resource_group: str
    workspace: str
    client_id: str | None  # of a user-assigned identity
    arm_url: str
    arm_scope: str
    ml_scope: str
    allowed_hosts: tuple[str, ...]  # hosts, or their suffixes, that may be sent a token
    landing_storage: dict[str, Connection]  # by account, in place of the datastores' addresses

    @property
    def storage_urls(self) -> list[str]:
        """The addresses of storage accounts."""
        return [own.blob_url for own in self.landing_storage.values() if own.blob_url]

    @property
    def workspace_id(self) -> str:
        """The ARM id of the workspace."""
        group, workspace = quote(self.resource_group, safe=""), quote(self.workspace, safe="")
        return (
            f"/subscriptions/{quote(self.subscription, safe='')}/resourceGroups/{group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )


class Settings(AzureSettings, frozen=True, kw_only=True):
    """All app settings that Landfall reads."""

    storage: Connection  # the app's own: the ledger
    topic_endpoint: str
    ledger_container: str
    escaping: Escaping
    metadata_prefix: str
    poll_seconds: int
    sweep_minutes: int
    retention_days: int
    pace: float

    @property
    def storage_urls(self) -> list[str]:
        """The addresses of storage accounts, the app's own among them."""
        return [*super().storage_urls, *filter(None, [self.storage.blob_url])]


class WrongSettings(SetupError):
    """Settings are missing or wrong; `mistakes` has a sentence for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("app settings: " + "; ".join(mistakes))
        self.mistakes = mistakes


def read_azure_settings(environment: Mapping[str, str]) -> AzureSettings:
    """Read the settings that say which workspace it is and how to reach it.

    Raises:
        WrongSettings: settings are missing or wrong; it names all of them.
    """
    reader = _Reader(environment)
    settings = AzureSettings(**reader.azure())
    reader.check_trusted(settings)
    return settings


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the app settings.

    Raises:
        WrongSettings: settings are missing or wrong; it names all of them.
    """
    reader = _Reader(environment)
    settings = Settings(
        storage=reader.connection(STORAGE_CONNECTION),
        topic_endpoint=reader.https(f"{TOPIC_CONNECTION}__topicEndpointUri"),
        **reader.azure(),
        ledger_container=reader.text("LANDFALL_LEDGER_CONTAINER", "landfall"),
        escaping=reader.escaping(_ESCAPING),
        metadata_prefix=reader.metadata_prefix("LANDFALL_METADATA_PREFIX"),
        poll_seconds=reader.poll_seconds(),
        sweep_minutes=reader.sweep_minutes(),
        retention_days=reader.retention_days(),
        pace=reader.pace("LANDFALL_PACE"),
    )
    reader.check_trusted(
        settings,
        {
            f"{TOPIC_CONNECTION}__topicEndpointUri": settings.topic_endpoint,
            f"{STORAGE_CONNECTION}__blobServiceUri": settings.storage.blob_url or "",
        },
    )
    return settings


def read_escaping(environment: Mapping[str, str]) -> Escaping:
    """Read how a path stands in an `azureml:` URI.

    Raises:
        WrongSettings: the setting is wrong.
    """
    reader = _Reader(environment)
    escaping = reader.escaping(_ESCAPING)
    if reader.mistakes:
        raise WrongSettings(reader.mistakes)
    return escaping


def poll_schedule(environment: Mapping[str, str]) -> str:
    """Return poll's schedule. Never fails: it is read while the app is indexed."""
    seconds = _Reader(environment).poll_seconds()
    return f"*/{seconds} * * * * *" if seconds > 1 else "* * * * * *"


def sweep_schedule(environment: Mapping[str, str]) -> str:
    """Return the sweep's schedule. Never fails either."""
    minutes = _Reader(environment).sweep_minutes()
    return f"0 */{minutes} * * * *" if minutes > 1 else "0 * * * * *"


class _Reader:
    """Reads settings one by one and collects what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.mistakes: list[str] = []

    def azure(self) -> dict[str, Any]:
        return {
            "subscription": self.text("AZUREML_ARM_SUBSCRIPTION"),
            "resource_group": self.text("AZUREML_ARM_RESOURCEGROUP"),
            "workspace": self.text("AZUREML_ARM_WORKSPACE_NAME"),
            "client_id": self._environment.get("AZURE_CLIENT_ID") or None,
            "arm_url": self.https("LANDFALL_ARM_URL", "https://management.azure.com"),
            "arm_scope": self.scope("LANDFALL_ARM_AUDIENCE", "https://management.azure.com"),
            "ml_scope": self.scope("LANDFALL_ML_AUDIENCE", "https://ml.azure.com"),
            "allowed_hosts": self.hosts("LANDFALL_ALLOWED_HOSTS", _DEFAULT_HOSTS),
            "landing_storage": self.landing_connections(),
        }

    def check_trusted(
        self, settings: AzureSettings, further: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Raise WrongSettings for all mistakes, also addresses to which no token may go."""
        addresses = {
            "LANDFALL_ARM_URL": settings.arm_url,
            **further,
            **{
                f"{connection.name}__blobServiceUri": connection.blob_url or ""
                for connection in settings.landing_storage.values()
            },
        }
        self.mistakes += [
            f"{name} may not be sent a token: add its host to LANDFALL_ALLOWED_HOSTS"
            for name, address in addresses.items()
            if address.startswith("https://")  # any other is a mistake already
            and not may_receive_token(address, settings.allowed_hosts)
        ]
        if self.mistakes:
            raise WrongSettings(self.mistakes)

    def text(self, name: str, default: str = "") -> str:
        value = self._environment.get(name, "").strip() or default
        if not value:
            self.mistakes.append(f"{name} is missing")
        return value

    def https(self, name: str, default: str = "") -> str:
        value = self.text(name, default)
        if value and not value.startswith("https://"):
            self.mistakes.append(f"{name} must be an https:// address: a token is sent there")
        elif re.search(r"[?#@\s]", value):
            problem = (
                "must be an address only: a SAS or key would stand in the ledger and in events"
            )
            self.mistakes.append(f"{name} {problem}")
        return value.rstrip("/")

    def scope(self, name: str, default: str) -> str:
        return self.https(name, default) + "/.default"

    def hosts(self, name: str, default: str) -> tuple[str, ...]:
        hosts = tuple(host.strip() for host in self.text(name, default).split(","))
        if not all(map(_HOST.fullmatch, hosts)):
            self.mistakes.append(f"{name} must be host names with commas between")
        return hosts

    def escaping(self, name: str) -> Escaping:
        return self._parsed(name, "literal", _escaping)

    def metadata_prefix(self, name: str) -> str:
        return self._parsed(name, "landfall_", _metadata_prefix)

    def poll_seconds(self) -> int:
        return self._parsed("LANDFALL_POLL_SECONDS", "15", _part_of_sixty)

    def sweep_minutes(self) -> int:
        return self._parsed("LANDFALL_SWEEP_MINUTES", "10", _part_of_sixty)

    def retention_days(self) -> int:
        return self._parsed("LANDFALL_RETENTION_DAYS", "90", _retention_days)

    def pace(self, name: str) -> float:
        return self._parsed(name, "1", _pace)

    def connection(self, name: str) -> Connection:
        secret, address = self._environment.get(name), f"{name}__blobServiceUri"
        if secret:
            if not _CONNECTION_STRING.search(secret):
                self.mistakes.append(f"{name} is no connection string: it names no account")
            return Connection(name=name, connection_string=secret)
        if not self._environment.get(address):
            self.mistakes.append(f"{name} (a connection string) or {address} is missing")
            return Connection()
        return Connection(name=name, blob_url=self.https(address))

    def landing_connections(self) -> dict[str, Connection]:
        names = {
            name.partition("__")[0]
            for name in self._environment
            if name.startswith(LANDING_CONNECTION)
        }
        return {
            name.removeprefix(LANDING_CONNECTION).lower(): self.connection(name)
            for name in sorted(names)
        }

    def _parsed(self, name: str, default: str, read: Callable[[str], T]) -> T:
        try:
            return read(self._environment.get(name) or default)
        except ValueError as mistake:
            self.mistakes.append(f"{name}: {mistake}")
            return read(default)


def _escaping(text: str) -> Escaping:
    known = get_args(Escaping)
    if text not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return cast("Escaping", text)


def _metadata_prefix(text: str) -> str:
    if not _METADATA_PREFIX.fullmatch(text):
        raise ValueError("must be letters, digits and `_`, at most 32, the first no digit")
    return text


def _part_of_sixty(text: str) -> int:
    if not text.isdecimal() or int(text) not in range(1, 31) or 60 % int(text):
        raise ValueError("must be a divisor of 60 up to 30")
    return int(text)


def _retention_days(text: str) -> int:
    if not text.isdecimal() or not 30 <= int(text) <= 3_650:
        raise ValueError("must be from 30 to 3650")
    return int(text)


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:  # its text quotes the setting
        pace = 0.0
    if not 0.005 <= pace <= 1:  # below, the storage's whole seconds are not small any more
        raise ValueError("must be from 0.005 to 1")
    return pace
