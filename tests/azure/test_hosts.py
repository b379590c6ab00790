"""Where a token may go: each audience has its own hosts, whoever names the address."""

import pytest

from scoring.azure.hosts import Hosts
from scoring.settings import read_azure_settings, read_settings

NAMES = {
    "AZUREML_ARM_SUBSCRIPTION": "s",
    "AZUREML_ARM_RESOURCEGROUP": "g",
    "AZUREML_ARM_WORKSPACE_NAME": "w",
}
APP = {
    **NAMES,
    "AzureWebJobsStorage__blobServiceUri": "https://app.blob.core.windows.net",
    "LandingStorage_own__blobServiceUri": "https://files.core.windows.net",
    "CompletionTopic__topicEndpointUri": "https://t.region-1.eventgrid.azure.net/api/events",
}
ON_ONE_MACHINE = {
    **NAMES,
    "AzureWebJobsStorage__blobServiceUri": "https://localhost:10000/app",
    "LandingStorage_own__blobServiceUri": "https://localhost:10000/own",
    "CompletionTopic__topicEndpointUri": "https://localhost:20000/api/events",
    "LANDFALL_ARM_URL": "https://localhost:30000",
    "LANDFALL_ALLOWED_HOSTS": "localhost",
}


def audiences(url: str, settings: dict[str, str]) -> set[str]:
    """Return the audiences whose token may go there."""
    hosts = Hosts(read_settings(settings))
    judges = {"arm": hosts.arm, "ml": hosts.ml, "storage": hosts.storage, "topic": hosts.topic}
    return {name for name, why_not in judges.items() if why_not(url) is None}


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://management.azure.com/subscriptions/s", "arm"),
        ("https://westeurope.management.azure.com/operations/1", "arm"),
        ("https://heart.westeurope.inference.ml.azure.com/jobs", "ml"),
        ("https://ml.azure.com/x", "ml"),
        ("https://web.westeurope.inference.ml.azure.com/jobs", "ml"),
        ("https://heart.web.inference.ml.azure.com/jobs", "ml"),
        ("https://app.blob.core.windows.net/c", "storage"),
        ("https://APP.BLOB.core.windows.net.:443/c", "storage"),
        ("https://another.blob.core.windows.net", "storage"),
        ("https://another.privatelink.blob.core.windows.net", "storage"),
        ("https://files.core.windows.net/c", "storage"),
        ("https://t.region-1.eventgrid.azure.net/api/events", "topic"),
        # Nobody's: on the list, but of a service that is not asked.
        ("https://another.dfs.core.windows.net/c", None),
        ("https://another.z6.web.core.windows.net/c", None),
        ("https://another.queue.core.windows.net/c", None),
        ("https://another.region-1.eventgrid.azure.net/api/events", None),
        ("https://evil.blob.ml.azure.com/c", "ml"),
        ("https://evil.blob.management.azure.com/c", "arm"),
        # Not on the list, or not plain.
        ("https://evil.example/c", None),
        ("https://management.azure.com.evil.example", None),
        ("https://evil.blob.core.windows.net.evil.example", None),
        ("http://management.azure.com", None),
        ("https://management.azure.com@evil.example", None),
        ("https://evil.example/@ml.azure.com", None),
    ],
)
def test_an_address_belongs_to_one_audience_at_most(url: str, audience: str | None) -> None:
    assert audiences(url, APP) == ({audience} if audience else set())


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://localhost:10000/app/landfall", {"storage"}),
        ("https://localhost:20000/api/events", {"topic"}),
        ("https://localhost:30000/subscriptions/s", {"arm"}),
        # Azure Resource Manager may be asked through a proxy, and names its own port in pages.
        ("https://localhost:40000/endpoints/e/jobs", {"ml", "arm"}),
    ],
)
def test_on_one_machine_the_ports_tell_the_audiences_apart(url: str, own: set[str]) -> None:
    assert audiences(url, ON_ONE_MACHINE) == own


@pytest.mark.parametrize(
    ("arm", "ml", "hosts", "storage"),
    [
        (
            "https://management.chinacloudapi.cn",
            "https://ml.azure.cn",
            "management.chinacloudapi.cn,ml.azure.cn,core.chinacloudapi.cn,eventgrid.azure.cn",
            "https://hearts.blob.core.chinacloudapi.cn",
        ),
        # Everything of a cloud may stand on the list as one.
        (
            "https://management.local.cloud",
            "https://ml.local.cloud",
            "local.cloud",
            "https://hearts.blob.local.cloud",
        ),
    ],
)
def test_other_clouds_have_hosts_of_each_audience(
    arm: str, ml: str, hosts: str, storage: str
) -> None:
    settings = NAMES | {
        "LANDFALL_ARM_URL": arm,
        "LANDFALL_ARM_AUDIENCE": arm,
        "LANDFALL_ML_AUDIENCE": ml,
        "LANDFALL_ALLOWED_HOSTS": hosts,
    }
    own = Hosts(read_azure_settings(settings))
    endpoint = ml.replace("https://", "https://heart.region.inference.")
    for url, judge in ((arm, own.arm), (endpoint, own.ml), (storage, own.storage)):
        assert judge(url) is None
        assert [one(url) is None for one in (own.arm, own.ml, own.storage)].count(True) == 1


def test_an_older_scoring_uri_may_be_allowed_by_its_host() -> None:
    url = "https://westeurope.api.azureml.ms/pipelines/v1.0/jobs"
    assert audiences(url, APP) == set()
    hosts = "management.azure.com,ml.azure.com,core.windows.net,eventgrid.azure.net,api.azureml.ms"
    assert audiences(url, APP | {"LANDFALL_ALLOWED_HOSTS": hosts}) == {"ml"}


def test_a_refusal_says_whether_the_list_or_the_audience_is_in_the_way() -> None:
    hosts = Hosts(read_settings(APP))
    assert "add its host to LANDFALL_ALLOWED_HOSTS" in str(hosts.ml("https://evil.example/jobs"))
    told = str(hosts.ml("https://app.blob.core.windows.net/?sig=secret"))
    assert told == (
        "app.blob.core.windows.net may not be sent a token for Azure ML: it is not one of its hosts"
    )
