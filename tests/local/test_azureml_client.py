"""The product's own client against the local Azure ML."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.azureml import Plan
from local.faults import Fault
from local.names import (
    ARM_AUDIENCE,
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    ML_AUDIENCE,
    WORKSPACE_ID,
)
from local.run_folder import RunFolder
from local.storage import Storage
from local.tokens import issue
from scoring.azure.batch_endpoint import AzureBatchEndpoints
from scoring.azure.http import AuthorizedHttp, new_client
from scoring.azure.workspace import AzureWorkspace
from scoring.jobs.batch_job import (
    Accepted,
    Answer,
    BatchEndpoint,
    BatchJob,
    ErrorAnswer,
    JobState,
    Submission,
    Unclear,
)
from scoring.jobs.job import ContainerRef
from tests.azure.access import access
from tests.local.site import Site, opened


class Forgetful:
    """A cache of the workspace's answers that stores nothing."""

    async def recall(self, _: str) -> tuple[bytes | None, str | None]:
        return None, None

    async def remember(self, *_: object) -> str | None:
        return None


class Product:
    """Landfall's clients, over real sockets."""

    def __init__(self, site: Site, arm: AuthorizedHttp, ml: AuthorizedHttp) -> None:
        self.site = site
        self.endpoints = AzureBatchEndpoints(ml, post_seconds=5.0)
        self.workspace = AzureWorkspace(
            arm,
            f"{site.ml.url}{WORKSPACE_ID}",
            Forgetful(),
            account_url=lambda account, suffix: f"https://{account}.blob.{suffix}",
            clock=asyncio.get_running_loop().time,
        )

    async def endpoint(self, name: str = "rows") -> BatchEndpoint:
        found = await self.workspace.endpoint(name)
        assert found is not None
        return found

    async def submit(self, tag: str = "landfall-k-1", deployment: str | None = None) -> Answer:
        submission = Submission(
            tag=tag,
            deployment=deployment,
            kind="file",
            input_uri=self.site.uri("in/a"),
            output_uri=self.site.uri(f"{tag}.csv"),
        )
        return await self.endpoints.submit(await self.endpoint(), submission)

    async def only_job(self) -> BatchJob:
        (job,) = await self.endpoints.batch_jobs(await self.endpoint())
        return job


@pytest.fixture
async def product(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Product]:
    async with opened(folder, storage, tmp_path) as site, new_client() as client:
        await site.put(**{"in/a": "1"})
        arm, ml = (
            AuthorizedHttp(client, access(issue(audience, client="landfall")))
            for audience in (ARM_AUDIENCE, ML_AUDIENCE)
        )
        yield Product(site, arm, ml)


async def test_the_workspace_names_its_datastores_and_endpoints(product: Product) -> None:
    product.site.ml.page_size = 1
    places = await product.workspace.places()
    assert places == {
        DATASTORE: ContainerRef(
            account=LANDING_ACCOUNT,
            account_url=f"https://{LANDING_ACCOUNT}.blob.core.windows.net",
            container=CONTAINER,
        )
    }
    assert (await product.endpoint()).default_deployment == "rows-1"
    assert await product.workspace.endpoint("nowhere") is None


async def test_an_attempt_is_submitted_followed_and_found_by_its_marks(product: Product) -> None:
    answer = await product.submit()
    assert isinstance(answer, Accepted)
    await product.site.end(answer.batch_job)
    job = await product.endpoints.batch_job(await product.endpoint(), answer.batch_job)
    assert job is not None
    assert job == await product.only_job()
    assert (job.state, job.message) == (JobState.COMPLETED, "")
    assert job.outputs == (product.site.uri("landfall-k-1.csv"),)
    assert job.marks == ("landfall-k-1", "landfall-k-1")
    assert answer.batch_job in (job.studio or "")
    assert await product.site.get("landfall-k-1.csv") == "a 1\n"


async def test_the_workspace_knows_a_batch_job_that_its_endpoint_does_not(product: Product) -> None:
    product.site.ml.plan(Plan(gone=True))
    answer = await product.submit()
    assert isinstance(answer, Accepted)
    await product.site.end(answer.batch_job)
    assert await product.endpoints.batch_job(await product.endpoint(), answer.batch_job) is None
    known = await product.workspace.batch_job(answer.batch_job)
    assert known is not None
    assert (known.name, known.state) == (answer.batch_job, JobState.COMPLETED)
    assert answer.batch_job in (known.studio or "")
    assert await product.workspace.batch_job("batchjob-0") is None


async def test_a_deployment_that_is_missing_is_reported_before_anything_is_sent(
    product: Product,
) -> None:
    assert await product.workspace.deployment_problem("rows", "rows-1") is None
    problem = await product.workspace.deployment_problem("rows", "rows-9")
    assert problem == "batch endpoint 'rows' has no deployment 'rows-9'"


async def test_a_failure_has_its_message(product: Product) -> None:
    product.site.ml.plan(Plan(status="Failed", message="no nodes left"))
    await product.submit()
    (job,) = product.site.ml.jobs.values()
    await product.site.end(job.name)
    seen = await product.only_job()
    assert (seen.state, seen.message) == (JobState.FAILED, "no nodes left")


async def test_a_listing_is_followed_to_its_last_page(product: Product) -> None:
    product.site.ml.paused, product.site.ml.page_size = True, 2
    for number in range(5):
        await product.submit(f"landfall-k-{number}")
    jobs = await product.endpoints.batch_jobs(await product.endpoint())
    assert [job.name for job in jobs] == list(product.site.ml.jobs)


async def test_a_job_whose_answer_was_lost_is_found(product: Product) -> None:
    product.site.ml.paused = True
    product.site.ml.faults.add(Fault(kind="drop-after", method="POST"))
    assert isinstance(await product.submit(), Unclear)
    assert (await product.only_job()).marks[0] == "landfall-k-1"


async def test_a_cancel_reaches_the_job(product: Product) -> None:
    product.site.ml.plan(Plan(status="Running"))
    answer = await product.submit()
    assert isinstance(answer, Accepted)
    await product.site.until(answer.batch_job, "Running")
    await product.workspace.cancel(answer.batch_job)
    await product.site.until(answer.batch_job, "Canceled")
    assert (await product.only_job()).state is JobState.CANCELED
    await product.workspace.cancel(answer.batch_job)


async def test_a_refusal_is_understood(product: Product) -> None:
    answer = await product.submit(deployment="none")
    product.site.ml.faults.add(Fault(kind="refuse", status=429, headers={"Retry-After": "7"}))
    endpoint = await product.endpoint()
    busy = await product.endpoints.submit(
        endpoint,
        Submission(tag="t", deployment=None, kind="file", input_uri="nonsense", output_uri="no"),
    )
    assert isinstance(answer, ErrorAnswer)
    assert answer.message == "DeploymentNotFound: Endpoint 'rows' has no deployment 'none'."
    assert isinstance(busy, ErrorAnswer)
    assert (busy.status, busy.retry_after) == (429, 7)


async def test_a_validation_error_is_reported_in_full(product: Product) -> None:
    answer = await product.endpoints.submit(
        await product.endpoint(),
        Submission(
            tag="t", deployment=None, kind="file", input_uri="nonsense", output_uri="nonsense"
        ),
    )
    assert isinstance(answer, ErrorAnswer)
    assert answer.status == 400
    assert answer.message.startswith(
        "properties.inputData.input.uri: the URI has none of the forms"
    )
