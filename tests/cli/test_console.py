"""What is printed: one JSON document or none, and never a secret."""

import json
from typing import Any

import pytest

from scoring.cli import main as commands
from scoring.cli.console import Console
from scoring.cli.failures import Interrupted, Refused
from scoring.cli.main import main

MESSAGE = "500: cannot read https://store.blob.core.windows.net/c/a?sv=1&sig=SECRET"


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_services_message_is_printed_for_people_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.warn(MESSAGE)
    console.note(MESSAGE)
    console.show(MESSAGE)
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("sig=***") == 3
    assert "SECRET" not in shown.out + shown.err


def test_a_services_message_is_printed_for_programs_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.as_json = True
    console.warn(MESSAGE)
    console.log(MESSAGE)
    console.fail(Refused(MESSAGE, details=[{"by": MESSAGE}]))
    document = printed(capsys)
    assert document["error"]["details"] == [{"by": MESSAGE.replace("SECRET", "***")}]
    assert "SECRET" not in json.dumps(document)


def test_a_failure_after_the_result_adds_no_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.as_json = True
    console.result(job="a")
    assert console.fail(Interrupted()) == 130
    assert printed(capsys) == {"job": "a"}


@pytest.mark.parametrize(
    "options", [["-o", "json"], ["--output", "json"], ["--output=json"], ["-o=json"], ["-ojson"]]
)
def test_a_mistake_is_one_document_however_json_is_asked_for(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["job", "show", *options]) == 2
    assert printed(capsys)["error"]["kind"] == "usage"


def test_a_file_of_that_name_asks_for_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invoke", "--file", "json"]) == 2
    assert capsys.readouterr().out == ""


def test_a_path_that_is_not_utf_8_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["route", "landing/\udcff.csv", "--output", "json"])
    assert "?" in json.dumps(printed(capsys))


def test_an_unexpected_exception_is_one_document_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> dict[str, str]:
        raise ValueError(MESSAGE)

    monkeypatch.setattr(commands, "environment", broken)
    with pytest.raises(ValueError, match="500"):
        main(["job", "show", "it", "--endpoint", "heart", "--output", "json"])
    error = printed(capsys)["error"]
    assert (error["kind"], error["message"]) == (
        "bug",
        f"ValueError: {MESSAGE}".replace("SECRET", "***"),
    )
