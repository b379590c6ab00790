"""No secret in a log, an event or the ledger: promise 7 of docs/design.md."""

import pytest

from scoring.events.completion import completion_event
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import State
from scoring.log import Action, line
from tests.factories import NOW, job, progress

SECRET = "q7Tt0ken-of_mine"
JWT = f"eyJhbGciOiJub25lIn0.eyJhdWQi{SECRET}.x"
QUOTED = [
    f"GET https://a.blob.core.windows.net/c/b?sv=2024&sig={SECRET}&se=2027 failed",
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
    f"the header aeg-sas-key: {SECRET} is wrong",
    f"Authorization: Bearer {SECRET}",
    f'{{"access_token": "{SECRET}"}}',
    f"token {JWT} has expired",
]


@pytest.mark.parametrize("text", QUOTED)
def test_a_secret_that_a_service_quotes_reaches_no_log_line(text: str) -> None:
    said = line(Action.JOB_ERROR, error=text)
    assert SECRET not in said
    assert "***" in said


@pytest.mark.parametrize("text", QUOTED)
def test_a_secret_that_a_service_quotes_reaches_no_event(text: str) -> None:
    event = completion_event(
        job=job(),
        progress=progress(State.SUBMITTED),
        outcome=Outcome(status=Status.FAILED, code="batch-job-failed", message=text),
        overwritten=None,
        ended=NOW,
        source="/workspace",
        version="1.2.3",
    )
    assert SECRET not in event.decode()


@pytest.mark.parametrize("text", ["sig", "a signature = none", "design=new", "bearer", "eyJ"])
def test_other_words_stay_as_they_are(text: str) -> None:
    assert text in line(Action.JOB_ERROR, error=text)
