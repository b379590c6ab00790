"""Which batch jobs belong to an attempt. The other decisions are tested as parts of a job's life."""

from typing import Any

import pytest

from scoring.jobs.batch_job import of_attempt
from tests.factories import batch_job, job

MINE = "azureml://datastores/workspaceblobstore/paths/scored/p.csv"
LONG_FORM = MINE.replace("azureml://", "azureml://subscriptions/s/resourceGroups/g/workspaces/w/")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"marks": ("landfall-k-1",)}, True),
        ({"outputs": (MINE,)}, True),
        ({"outputs": (LONG_FORM,)}, True),
        ({}, False),
        ({"marks": ("landfall-k-2",), "outputs": (MINE + "x",)}, False),
    ],
)
def test_a_batch_job_is_an_attempts_by_its_output_or_by_a_mark(
    fields: dict[str, Any], *, found: bool
) -> None:
    """It is not documented which of them live listings carry."""
    made = job(key="k", output_base="scored/p.csv")
    assert bool(of_attempt([batch_job(**fields)], made, 1)) is found
