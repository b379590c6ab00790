"""No secret in a log, an event or the ledger: promise 8 of docs/design.md."""

import time

import pytest

from scoring.events.completion import completion_event
from scoring.jobs.outcome import Outcome, Status
from scoring.jobs.progress import State
from scoring.log import Action, line, redacted
from tests.factories import NOW, job, progress

SECRET = "q7Tt0ken-of_mine"
JWT = f"eyJhbGciOiJub25lIn0.eyJhdWQi{SECRET}.x"
QUOTED = [
    # shared access signatures, also where they stand in another address or document
    f"GET https://a.blob.core.windows.net/c/b?sv=2024&sig={SECRET}&se=2027 failed",
    f"GET https://a.blob.core.windows.net/c/b?sig={SECRET}",
    f"next=https%3A%2F%2Fa%2Fb%3Fsv%3D2024%26sig%3D{SECRET}%26se%3D2027",
    f"next=https%253A%252F%252Fa%252Fb%253Fsig%253D{SECRET}",
    f"next=https%25253A%25252F%25252Fa%25253FSIG%25253d{SECRET}",
    f"\\u0026sig\\u003d{SECRET}\\u0026se=2027",
    f"a?sv=1&amp;sig={SECRET}&amp;se=2",
    f"a?sv=1&amp;sig&#61;{SECRET}",
    # connection strings and keys
    f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
    f"Endpoint=sb://a/;SharedAccessKeyName=Root;SharedAccessKey={SECRET};EntityPath=b",
    f"SharedAccessSignature={SECRET};QueueEndpoint=https://a",
    f"AccountKey%3D{SECRET}%3BEndpointSuffix%3Dx",
    f'{{"primaryKey": "{SECRET}", "secondaryKey": "{SECRET}"}}',
    f"Server=tcp:a;User ID=b;Password={SECRET};Encrypt=True",
    f"Server=a;Uid=b;Pwd={SECRET};",
    f"<Account><AccountKey>{SECRET}</AccountKey></Account>",
    # headers
    f"the header aeg-sas-key: {SECRET} is wrong",
    f"aeg-sas-token: {SECRET}",
    f"x-functions-key: {SECRET}",
    f"X-IDENTITY-HEADER: {SECRET}",
    f"x-ms-encryption-key: {SECRET}",
    f"Ocp-Apim-Subscription-Key: {SECRET}",
    f"api-key: {SECRET}",
    # tokens
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Basic {SECRET}",
    f"'Authorization': 'SharedKey account:{SECRET}='",
    f"authorization={SECRET}",
    f"Bearer%20{SECRET}",
    f"Bearer%2520{SECRET}",
    f"bearer+{SECRET}",
    f"SharedKey account:{SECRET}",
    f'{{"access_token": "{SECRET}"}}',
    f'{{\\"refresh_token\\": \\"{SECRET}\\", \\"a\\": 1}}',
    f"id_token={SECRET}&state=x",
    f"client_secret={SECRET}&grant_type=client_credentials",
    f"client-secret: {SECRET}",
    f'{{"token": "{SECRET}"}}',
    f'{{"sasToken":"{SECRET}"}}',
    f"token={SECRET}",
    f"Bearer: {SECRET}",
    f"token {JWT} has expired",
    f"next=%20{JWT}",
    f"next=%2520{JWT}",
    # passwords
    f"password={SECRET}",
    f"PASSWORD : {SECRET}",
    f"passwd={SECRET}",
    f"passphrase: {SECRET}",
    f"my_password='{SECRET} {SECRET}'",
    f'{{"password": "a\\"{SECRET}", "b": 1}}',
    f"password%3D{SECRET}",
    # in addresses
    f"https://user:{SECRET}@host/x",
    f"https://{SECRET}@host/x",
    f"amqps://user:{SECRET}@host",
    f"https%3A%2F%2Fuser%3A{SECRET}%40host",
    f"https://app.azurewebsites.net/api/f?code={SECRET}",
    f"https://app.azurewebsites.net/api/f?a=b&code={SECRET}==",
    f"%3Fcode%3D{SECRET}",
    f"https://maps/?key={SECRET}",
    f"https://hook/?token={SECRET}",
    # keys in files
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET.replace('-', '').replace('_', '')}\n",
]
FOUND = [SECRET, SECRET.replace("-", "").replace("_", "")]


@pytest.mark.parametrize("text", QUOTED)
def test_a_secret_that_a_service_quotes_reaches_no_log_line(text: str) -> None:
    said = line(Action.JOB_ERROR, error=text)
    assert not any(secret in said for secret in FOUND)
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
    assert not any(secret in event.decode() for secret in FOUND)


@pytest.mark.parametrize(
    "text",
    [
        "sig",
        "a signature = none",
        "design=new",
        "assigned: yes",
        "bearer",
        "eyJ",
        "its host may not be sent a token: add it",
        "no password was given",
        "exit code=5",
        "https://h/?decode=5",
        "https://host:443/path@v2",
        "ward@hospital.example",
        "wasbs://container@account.blob.core.windows.net/in",
        "SharedAccessKeyName=Root",
        "x-ms-encryption-key-sha256: abc",
        "landing/keys/pass/secret.csv",
        "job=0f3c key=0f3c",
    ],
)
def test_other_words_stay_as_they_are(text: str) -> None:
    assert text in line(Action.JOB_ERROR, error=text)


def test_what_surrounds_a_secret_stays_readable() -> None:
    assert redacted(f"GET /b?sv=1&sig={SECRET}&se=2 failed") == "GET /b?sv=1&sig=***&se=2 failed"
    assert redacted(f"AccountKey={SECRET};EndpointSuffix=x") == "AccountKey=***;EndpointSuffix=x"
    assert redacted(f"https://u:{SECRET}@host/x") == "https://***@host/x"
    assert redacted(f'{{"password": "{SECRET}", "b": 1}}') == '{"password": ***, "b": 1}'


PIECES = ["sig", "eyJ", "eyJ-", "00eyJ", "%3A%2F%2F", "https://", "%25", "password", "\\", '\\"']
PIECES += [
    '"',
    "'",
    "=",
    ": ",
    "bearer ",
    " ",
    "authorization: ",
    "-----BEGIN A",
    "&code",
    "@",
    "-",
]


@pytest.mark.parametrize("piece", [*PIECES, *(f"{a}{b}" for a in PIECES for b in PIECES)])
def test_a_hostile_text_is_gone_through_in_time(piece: str) -> None:
    """Services quote what others wrote; a long text of it must not stop the app."""
    length, seconds = (300_000, 3) if piece in PIECES else (20_000, 0.5)
    began = time.process_time()
    redacted(piece * (length // len(piece)))
    assert time.process_time() - began < seconds
