"""What is printed: one JSON document or none, and never a secret."""

import contextlib
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from scoring.cli import main as commands
from scoring.cli.console import Console
from scoring.cli.failures import Interrupted, Refused
from scoring.cli.main import main
from scoring.cli.table import Table
from scoring.log import redacted

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


HOSTILE = "a\x1b]0;owned\x9c\u202egnp\x9b2J\u2028b.csv"
ESCAPED = "a\\x1b]0;owned\\x9c\\u202egnp\\x9b2J\\u2028b.csv"


def test_what_others_wrote_cannot_change_what_a_terminal_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console()
    table = Table("name")
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    console.warn(HOSTILE)
    console.note(HOSTILE)
    console.log(HOSTILE)
    console.show(HOSTILE, table)
    console.fail(Refused(HOSTILE))
    shown = capsys.readouterr()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.out + shown.err)  # rich's own colours
    assert plain.count(ESCAPED) == 7
    assert plain.replace("\n", "").isprintable()


def test_a_name_with_line_breaks_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    table = Table("name")
    table.add_row("a\nerror: forged")
    console.show(table)
    console.note("a\nerror: forged")
    shown = capsys.readouterr()
    assert (shown.out + shown.err).count("a\\nerror: forged") == 2


def test_a_result_has_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Console().show("one\ntwo")
    assert capsys.readouterr().out == "one\ntwo\n"


@given(text=st.text())
def test_programs_are_told_every_character_and_a_terminal_shows_it_escaped(text: str) -> None:
    console = Console()
    console.as_json = True
    with contextlib.redirect_stdout(io.StringIO()) as out:
        console.result(name=text)
    assert out.getvalue().replace("\n", "").isprintable()
    assert json.loads(out.getvalue())["name"] == redacted(text)


def test_the_text_beside_a_bar_is_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Console().bar("[/one]\x07") as bar:
        bar.describe("[/two]\x07")
    assert "[/two]\\x07" in capsys.readouterr().err


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
