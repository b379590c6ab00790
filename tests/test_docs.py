"""The documents say what the code does."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scoring.durations import read_duration
from scoring.errors import SetupError
from scoring.log import Action, line
from scoring.routes.file import kinds_of, read_routes
from scoring.routes.patterns import pattern
from scoring.routes.route import Ready, Route
from scoring.routes.rules import Mistake
from scoring.settings import Settings, poll_schedule, read_settings
from scoring.uris import may_receive_token, safe_name
from tests.pages import DOCS, ROOT, blocks, page, rows, section
from tests.recording import Recording

ROUTES = page("routes")
SETTINGS = page("settings")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


# --- operate.md ---------------------------------------------------------------------------------


def test_operate_lists_each_action_that_the_product_logs_and_no_other() -> None:
    table = section(page("operate"), "Actions")
    assert set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)) == set(Action)


def test_operate_lists_each_reason_that_the_product_gives_and_no_other() -> None:
    table = section(page("operate"), "Reasons")
    listed = set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE))
    source = "".join(path.read_text("utf-8") for path in (ROOT / "scoring").rglob("*.py"))
    given = re.findall(
        r'code="([a-z-]+)"|(?:BY_OPERATOR =|_rejected|Status\.\w+,|outcome,)\s*\(?"([a-z-]+)"',
        source,
    )
    assert listed == {one for pair in given for one in pair if one}


# --- links --------------------------------------------------------------------------------------

LINKS = [
    pytest.param(page, link, id=f"{page.relative_to(ROOT)} {link}")
    for page in PAGES
    for link in re.findall(
        r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    )
    if not re.match(r"[a-z]+:", link)
]


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_relative_link_leads_somewhere(page: Path, link: str) -> None:
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    assert target.exists(), f"{page.name} links to {file}"
    if anchor:
        assert anchor in set(_anchors(target.read_text("utf-8")))


def _anchors(text: str) -> Iterator[str]:
    """Yield the anchors of a page's headings as GitHub makes them."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for title in re.findall(r"^#+ (.+)$", prose, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


# --- routes.md ----------------------------------------------------------------------------------

FILES = {
    "name": 'name = "base"',
    "datastore": 'datastore = "workspaceblobstore"',
    "match": 'match = "landing/base/*.csv"',
    "input": 'input = "file"',
    "endpoint": 'endpoint = "classifier"',
    "output": 'output = "scored/{key}.csv"',
    "max_active": 'max_active = "unlimited"',
}
FOLDERS = FILES | {
    "match": 'match = "landing/digits/{batch}/*"',
    "input": 'input = "folder"',
    "ready": 'ready = { quiet = "5m", at_most = "1h" }',
}
OF_FOLDERS = {"ready", "late", "minimum_gap"}
FIELDS = rows(section(ROUTES, "Fields"))
# The settings that the document's routes name.
APP_SETTINGS = {"DATASTORE": "workspaceblobstore", "STAGE": "test", "SUBSCRIPTION": "0000"}


def test_routes_lists_each_field_of_a_route_once_and_no_other() -> None:
    assert sorted(name.strip("`") for name, *_ in FIELDS) == sorted(Route.__struct_fields__)


def test_routes_says_which_fields_are_required() -> None:
    required = {name.strip("`") for name, needed, *_ in FIELDS if needed.startswith("yes")}
    assert required == set(FILES)
    for name in FILES:
        _, (mistake,) = read_routes(_route(FILES, leave_out=name), {})
        assert (mistake.field, mistake.problem) == (name, "is missing")


@pytest.mark.parametrize(
    ("name", "example"), [(cells[0].strip("`"), cells[-1]) for cells in FIELDS]
)
def test_the_example_of_a_field_is_read(name: str, example: str) -> None:
    base = FOLDERS if name in OF_FOLDERS else FILES
    (made,), mistakes = read_routes(_route(base | {name: example.strip("`")}), {})
    assert mistakes == []
    (value,) = tomllib.loads(example.strip("`")).values()
    assert getattr(made, name) == _as_read(name, value)


def _as_read(name: str, value: Any) -> Any:
    if name == "ready":
        return Ready(**value)
    return read_duration(value) if kinds_of(Route)[name] is timedelta else value


def _route(lines: Mapping[str, str], leave_out: str = "") -> str:
    return "\n".join(["[[routes]]", *(one for name, one in lines.items() if name != leave_out)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_toml_block_of_the_documents_has_no_mistakes(page: Path) -> None:
    for block in blocks(page.read_text("utf-8"), "toml"):
        routes, mistakes = read_routes(block, APP_SETTINGS)
        assert mistakes == []
        assert len(routes) == block.count("[[routes]]")


def test_routes_has_toml_blocks_with_and_without_mistakes() -> None:
    assert len(blocks(ROUTES, "toml")) >= 4
    assert len(blocks(ROUTES, "toml mistake")) >= 2


def _mistakes() -> list[tuple[str, list[str]]]:
    """Return each block with mistakes, and the messages that the document shows for it."""
    shown = re.findall(
        r"^```toml mistake\n(.*?)^```\n\n```text\n(.*?)^```$", ROUTES, re.DOTALL | re.MULTILINE
    )
    return [(block, messages.splitlines()) for block, messages in shown]


def test_the_mistakes_give_exactly_the_messages_that_are_shown() -> None:
    assert len(_mistakes()) == len(blocks(ROUTES, "toml mistake"))
    for block, messages in _mistakes():
        routes, mistakes = read_routes(block, {})
        assert routes == []
        assert [str(mistake) for mistake in mistakes] == messages


def test_the_log_line_of_a_mistake_is_the_one_that_is_shown() -> None:
    _, (mistake, *_) = read_routes(_mistakes()[0][0], {})
    assert isinstance(mistake, Mistake)
    logged = line(Action.ROUTE_BROKEN, route=mistake.route, problem=str(mistake))
    assert blocks(ROUTES, "text").count(f"{logged}\n") == 1


def test_the_table_of_patterns_says_what_is_taken() -> None:
    table = [cells for cells in rows(section(ROUTES, "Patterns")) if len(cells) == 3]
    assert len(table) > 5
    for glob, path, taken in table:
        found = pattern(glob.strip("`")).fullmatch(path.strip("`"))
        assert ("yes" if found else "no") == taken, f"{glob} {path}"


def test_the_table_of_names_says_how_they_are_made_safe() -> None:
    table = rows(section(ROUTES, "Outputs").partition("made safe")[2])
    assert len(table) > 3
    for name, safe in table:
        assert safe_name(name.strip("`")) == safe.strip("`")


# --- settings.md --------------------------------------------------------------------------------

ACCOUNT = "hearts"  # stands where the document says <account>
TABLE = rows(SETTINGS.partition("\n## ")[0])
EXAMPLES = {
    cells[0].strip("`").replace("<account>", ACCOUNT): cells[-1].strip("`") for cells in TABLE
}
DEFAULTS = {
    cells[0].strip("`"): cells[1].strip("`") for cells in TABLE if re.fullmatch("`.+`", cells[1])
}
REQUIRED = {cells[0].strip("`") for cells in TABLE if cells[1] == "required"}
FORMS = [json.loads(block) for block in blocks(SETTINGS, "json")]
BY_IDENTITY: dict[str, str] = FORMS[0]


def test_settings_lists_each_setting_that_is_read_and_no_other() -> None:
    """Asked without the connection strings, so that the addresses are looked for as well."""
    secrets = {"AzureWebJobsStorage", f"LandingStorage_{ACCOUNT}"}
    without = {name: value for name, value in EXAMPLES.items() if name not in secrets}
    environment = Recording(without)
    read_settings(environment)
    poll_schedule(environment)
    assert environment.asked == set(EXAMPLES)


def test_every_example_is_read() -> None:
    settings = read_settings(EXAMPLES)
    assert settings.storage.connection_string == EXAMPLES["AzureWebJobsStorage"]
    assert settings.landing_storage[ACCOUNT].connection_string
    assert settings.workspace == "hearts"
    assert poll_schedule(EXAMPLES) == "*/30 * * * * *"


def test_every_example_says_something_else_than_the_default() -> None:
    assert all(EXAMPLES[name] != default for name, default in DEFAULTS.items())


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_is_what_is_taken_when_the_setting_is_missing_or_empty(name: str) -> None:
    trusting = {"LANDFALL_ALLOWED_HOSTS": EXAMPLES["LANDFALL_ALLOWED_HOSTS"]}
    others = BY_IDENTITY | (trusting if name == "LANDFALL_ARM_URL" else {})
    plain = read_settings(others)
    assert read_settings(others | {name: DEFAULTS[name]}) == plain
    assert read_settings(others | {name: ""}) == plain
    assert read_settings(others | {name: EXAMPLES[name]}) != plain


def test_every_setting_without_a_default_that_is_marked_so_is_required() -> None:
    with pytest.raises(SetupError) as told:
        read_settings({})
    storage = {"AzureWebJobsStorage", "AzureWebJobsStorage__blobServiceUri"}
    named = set(re.findall(r"[A-Za-z]+_[A-Za-z_]+|AzureWebJobsStorage\b", str(told.value)))
    assert named == REQUIRED | storage


@pytest.mark.parametrize("form", FORMS)
def test_both_forms_are_enough(form: dict[str, str]) -> None:
    settings = read_settings(form)
    assert bool(settings.storage.connection_string) != bool(settings.storage.blob_url)
    for name in REQUIRED:
        with pytest.raises(SetupError, match=f"{name} is missing$"):
            read_settings({one: value for one, value in form.items() if one != name})


@pytest.mark.parametrize(
    ("cloud", "storage", "topic"),
    [
        (1, "core.chinacloudapi.cn", "eventgrid.azure.cn"),
        (2, "core.usgovcloudapi.net", "eventgrid.azure.us"),
    ],
    ids=["China", "US government"],
)
def test_the_settings_of_another_cloud_let_tokens_go_to_its_hosts_only(
    cloud: int, storage: str, topic: str
) -> None:
    chosen = {
        cells[0].strip("`"): cells[cloud].strip("`")
        for cells in rows(section(SETTINGS, "Other clouds"))
    }
    chosen["AzureWebJobsStorage__blobServiceUri"] = f"https://landfallapp.blob.{storage}"
    chosen["CompletionTopic__topicEndpointUri"] = f"https://t.region-1.{topic}/api/events"
    settings = read_settings(BY_IDENTITY | chosen)
    blob, ml = f"https://hearts.blob.{storage}", settings.ml_scope.removesuffix("/.default")
    endpoint = ml.replace("https://", "https://hearts.region.inference.")
    for url in (settings.arm_url, endpoint, blob, settings.topic_endpoint):
        assert may_receive_token(url, settings.allowed_hosts)
    plain = read_settings(BY_IDENTITY)
    for url in (plain.arm_url, plain.topic_endpoint, "https://hearts.blob.core.windows.net"):
        assert not may_receive_token(url, settings.allowed_hosts)
    fields = ("arm_url", "arm_scope", "ml_scope", "allowed_hosts")
    assert all(_of(settings, name) != _of(plain, name) for name in fields)


def _of(settings: Settings, name: str) -> Any:
    return msgspec.structs.asdict(settings)[name]


def test_the_error_of_wrong_settings_is_the_one_that_is_shown() -> None:
    wrong = {
        "LANDFALL_POLL_SECONDS": "25",
        "CompletionTopic__topicEndpointUri": "http://localhost/api/events",
    }
    with pytest.raises(SetupError) as told:
        read_settings(wrong)
    assert blocks(SETTINGS, "text") == [f"{told.value}\n"]
    assert poll_schedule(wrong) == "*/15 * * * * *"


def test_the_error_of_a_host_without_permission_is_the_one_that_is_shown() -> None:
    shown = "may not be sent a token: add its host to LANDFALL_ALLOWED_HOSTS"
    assert shown in SETTINGS
    with pytest.raises(SetupError) as told:
        read_settings(BY_IDENTITY | {"LANDFALL_ALLOWED_HOSTS": "example.com"})
    assert str(told.value).count(shown) == 3, "ARM, the topic, and the app's storage"
