"""Which hosts may be sent a token of which audience: answers name addresses, too.

    audience                 its hosts
    Azure Resource Manager   the host of LANDFALL_ARM_URL, and what lies below it
    Event Grid               the host of the topic's endpoint
    storage                  those that the settings name, and <account>.blob.<suffix>
    Azure ML                 all others

All of them over https, and on the list of LANDFALL_ALLOWED_HOSTS. An address in the settings owns
its host or, if it names a port, that port: what runs on one machine differs in nothing else.
"""

from collections.abc import Iterable

from scoring.settings import AzureSettings, Settings
from scoring.uris import host_and_port, may_receive_token

_SERVICES = frozenset({"blob", "dfs", "eventgrid", "file", "queue", "table", "web"})
"""Labels in the names of hosts that are storage's or Event Grid's."""


class Hosts:
    """Each method says why an address may not be sent a token; None: it may."""

    def __init__(self, settings: AzureSettings, *further_storage: str) -> None:
        self._allowed = settings.allowed_hosts
        self._arm, self._ml = settings.arm_url, settings.ml_scope
        self._storage = [*settings.storage_urls, *further_storage]
        self._topic = [settings.topic_endpoint] if isinstance(settings, Settings) else []

    def arm(self, url: str) -> str | None:
        """Judge an address for Azure Resource Manager."""
        own = _is_below(url, self._arm) and not _is_one_of(url, [*self._topic, *self._storage])
        return self._judge(url, "Azure Resource Manager", own=own)

    def topic(self, url: str) -> str | None:
        """Judge an address for Event Grid."""
        return self._judge(url, "Event Grid", own=_is_one_of(url, self._topic))

    def storage(self, url: str) -> str | None:
        """Judge an address for storage."""
        elsewhere = _is_below(url, self._arm) or _is_below(url, self._ml)
        derived = "blob" in _labels(url) and not elsewhere
        return self._judge(url, "storage", own=derived or _is_one_of(url, self._storage))

    def ml(self, url: str) -> str | None:
        """Judge an address for Azure ML."""
        named = _is_one_of(url, [self._arm, *self._topic, *self._storage])
        below_arm = _is_below(url, self._arm) and _host(url) != _host(self._arm)
        service = not _SERVICES.isdisjoint(_labels(url)) and not _is_below(url, self._ml)
        return self._judge(url, "Azure ML", own=not (named or below_arm or service))

    def _judge(self, url: str, audience: str, *, own: bool) -> str | None:
        host = _host(url) or "an address that is not plain https"
        if not may_receive_token(url, self._allowed):
            return f"{host} may not be sent a token: add its host to LANDFALL_ALLOWED_HOSTS"
        if not own:
            return f"{host} may not be sent a token for {audience}: it is not one of its hosts"
        return None


def _is_one_of(url: str, owners: Iterable[str]) -> bool:
    return any(_leads_to(url, owner) for owner in owners)


def _leads_to(url: str, owner: str) -> bool:
    there, own = host_and_port(url), host_and_port(owner)
    if there is None or own is None or there[0] != own[0]:
        return False
    return own[1] is None or own[1] == (there[1] or 443)


def _is_below(url: str, owner: str) -> bool:
    return bool(_host(owner)) and f".{_host(url)}".endswith(f".{_host(owner)}")


def _host(url: str) -> str:
    there = host_and_port(url)
    return there[0] if there else ""


def _labels(url: str) -> list[str]:
    return _host(url).split(".")[1:]
