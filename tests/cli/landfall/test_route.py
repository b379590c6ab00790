"""`route PATH`: which routes match, with the product's own job; and why others do not."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.names import CONTAINER, DATASTORE, LANDING_ACCOUNT
from scoring.cli.failures import Refused, UsageError
from scoring.cli.landfall.route.command import located, verdicts_of
from scoring.cli.landfall.route.matching import DroppedFile, Verdict, verdict
from scoring.jobs.job import folder_of, job_for, job_of_folder
from scoring.routes.route import Ready, Route
from scoring.routes.rules import Mistake
from tests.cli.conftest import Commands
from tests.factories import NOW, folder_route, landing, place, quiet_route, route

PLACES = {"workspaceblobstore": place()}


def dropped(path: str = "landing/a.csv", **fields: Any) -> DroppedFile:
    return DroppedFile(path=path, landed=NOW, **fields)


def offline(of: Route, path: str) -> Verdict:
    return verdict(of, dropped(path), None, "literal")


# --- files --------------------------------------------------------------------------------------


def test_a_file_matches_with_the_input_and_output_that_its_job_gets() -> None:
    found = offline(route(), "landing/a b.csv")
    assert (found.matches, found.kind, found.reason) == (True, "file", "matches 'landing/**'")
    assert found.input == "azureml://datastores/workspaceblobstore/paths/landing/a b.csv"
    assert found.output == "scored/files/2026-11-24/a_b-{key}/predictions.csv"
    assert (found.datastore, found.endpoint, found.deployment) == (
        "workspaceblobstore",
        "classifier",
        None,
    )
    assert (found.job, found.waits_for) == (None, None)


def test_with_its_version_and_place_the_key_is_the_real_one() -> None:
    job = job_for(route(), landing(etag="0x7"), place(), "literal")
    found = verdict(route(), dropped(etag="0x7"), PLACES, "literal")
    assert (found.job, found.output) == (job.key, job.output_path(1))
    without_place = verdict(route(), dropped(etag="0x7"), None, "literal")
    assert (without_place.job, without_place.output) == (None, job.output_base)


def test_where_there_is_one_job_for_a_path_the_key_needs_no_version() -> None:
    once = route(on_overwrite="ignore")
    found = verdict(once, dropped(), PLACES, "literal")
    assert found.job == job_for(once, landing(), place(), "literal").key


def test_the_input_uri_is_the_routes_own_and_escaped_as_the_setting_says() -> None:
    of = route(uri="https://x.blob.core.windows.net/{container}/{path}")
    known = verdict(of, dropped("landing/a b.csv"), PLACES, "literal")
    assert known.input == "https://x.blob.core.windows.net/c/landing/a%20b.csv"
    unknown = offline(of, "landing/a b.csv")
    assert unknown.input == "https://x.blob.core.windows.net/{container}/landing/a%20b.csv"
    escaped = verdict(route(), dropped("landing/a b.csv"), None, "percent-encoded")
    assert str(escaped.input).endswith("/paths/landing/a%20b.csv")


def test_a_route_without_output_has_none() -> None:
    assert offline(route(output="", output_kind="none"), "landing/a.csv").output is None


def test_a_route_that_is_not_enabled_matches_files_that_wait() -> None:
    found = offline(route(enabled=False), "landing/a.csv")
    assert (found.matches, found.waits_for) == (True, "the route to be enabled")


# --- folders ------------------------------------------------------------------------------------


def test_a_file_of_a_folder_by_marker_waits_for_its_marker() -> None:
    found = offline(folder_route(), "landing/b1/x.png")
    assert (found.matches, found.kind) == (True, "file-of-folder")
    assert found.reason == "is a file of folder 'landing/b1'"
    assert found.waits_for == "the marker 'landing/b1.done' to land"
    assert found.input == "azureml://datastores/workspaceblobstore/paths/landing/b1"
    assert found.output == "scored/b1-{key}/predictions.csv"


def test_a_file_of_a_folder_whose_marker_may_be_called_otherwise() -> None:
    of = folder_route(
        ready=Ready(marker="landing/{batch}.{day}.done*"), output="scored/{day}/{key}.csv"
    )
    found = offline(of, "landing/b1/x.png")
    assert found.waits_for == "the marker 'landing/b1.{day}.done*' to land"
    assert found.output == "scored/{day}/{key}.csv"
    assert str(found.input).endswith("/paths/landing/b1")


def test_a_marker_makes_the_job_of_its_folder() -> None:
    found = verdict(folder_route(), dropped("landing/b1.done", etag="0x1"), PLACES, "literal")
    job = job_for(folder_route(), landing("landing/b1.done"), place(), "literal")
    assert (found.kind, found.waits_for) == ("marker", None)
    assert found.reason == "is the marker 'landing/{batch}.done' of folder 'landing/b1'"
    assert (found.job, found.output, found.input) == (
        job.key,
        job.output_path(1),
        job.input_uri,
    )


def test_a_file_of_a_folder_that_becomes_quiet_waits_for_that() -> None:
    found = verdict(quiet_route(), dropped("landing/b1/x.png", etag="0x1"), PLACES, "literal")
    assert (found.matches, found.kind) == (True, "file-of-folder")
    assert found.waits_for == (
        "nothing to land in it for 5 min, or 1 h to pass since the first file"
    )
    assert str(found.input).endswith("/paths/landing/b1")
    assert found.output == "scored/b1-{key}/predictions.csv"
    assert found.job is None  # its version is that of all its files


def test_a_quiet_folder_that_has_one_job_has_one_key() -> None:
    of = quiet_route(late="ignore", ready=Ready(quiet=timedelta(seconds=90), at_most=timedelta(2)))
    found = verdict(of, dropped("landing/b1/x.png"), PLACES, "literal")
    folder_landing = landing("landing/b1", etag="any")
    folder = folder_of(of, "landing/b1/x.png", place())
    assert found.job == job_of_folder(folder, folder_landing, "literal", late=False).key
    assert "for 90 s, or 48 h to pass" in str(found.waits_for)


def test_what_waits_for_two_things_says_both() -> None:
    found = offline(folder_route(enabled=False), "landing/b1/x.png")
    assert found.waits_for == (
        "the marker 'landing/b1.done' to land, and for the route to be enabled"
    )


# --- no match -----------------------------------------------------------------------------------


def test_why_not_names_the_part_that_differs() -> None:
    found = offline(route(match="landing/*.csv"), "landing/a.txt")
    assert (found.matches, found.kind, found.input) == (False, None, None)
    assert found.reason == "match 'landing/*.csv': 'a.txt' is not '*.csv'"


def test_why_not_of_a_folder_names_files_and_the_marker() -> None:
    found = offline(folder_route(), "landing/b1/x.txt")
    assert found.reason == (
        "match 'landing/{batch}/*.png': 'x.txt' is not '*.png';"
        " ready.marker 'landing/{batch}.done':"
        " it lies deeper than 'landing/{batch}.done': only `**` stands for folders"
    )


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        ({"container": "c"}, True),
        ({"container": "d"}, False),
        ({"account": "landingzone", "container": "c"}, True),
        ({"account": "other", "container": "c"}, False),
        ({}, True),
    ],
)
def test_a_file_of_another_container_does_not_match(where: dict[str, str], matches: bool) -> None:
    found = verdict(route(), dropped(**where), PLACES, "literal")
    assert found.matches == matches
    if not matches:
        assert "is container 'c' of account 'landingzone'" in found.reason


def test_a_route_without_its_datastore_matches_nothing() -> None:
    found = verdict(route(datastore="lost"), dropped(), PLACES, "literal")
    assert found.reason == "the workspace has no datastore 'lost' in blob storage"
    assert not found.matches


def test_routes_with_mistakes_are_named_and_those_that_match_come_first() -> None:
    mistakes = [
        Mistake(route="broken", field="output", problem="is missing"),
        Mistake(route="files", field="datastore", problem="the route's own verdict says so"),
    ]
    routes = [route(name="other", match="x/*"), route()]
    found = verdicts_of(routes, mistakes, dropped(), None, "literal")
    assert [(one.route, one.matches) for one in found] == [
        ("files", True),
        ("other", False),
        ("broken", False),
    ]
    assert found[-1].reason == "the route is left out: output: is missing"


# --- where a URI leads --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("https://landingzone.blob.core.windows.net/c/landing/a%20b.csv", "landing/a b.csv"),
        ("https://landingzone.blob.core.windows.net/c/a.csv?sv=1&sig=secret", "a.csv"),
        ("https://landingzone.dfs.core.windows.net/c/a.csv", "a.csv"),
        ("azureml://datastores/workspaceblobstore/paths/a%20b.csv", "a%20b.csv"),
        (
            "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/{}/paths/a.csv",
            "a.csv",
        ),
    ],
)
def test_a_uri_names_account_container_and_path(uri: str, path: str) -> None:
    found = located(dropped(uri.replace("{}", DATASTORE)), PLACES, "literal")
    assert (found.account, found.container, found.path) == ("landingzone", "c", path)


def test_a_url_below_an_address_of_its_own_names_the_datastores_account() -> None:
    places = {"workspaceblobstore": place(account_url="https://private:8443/landingzone")}
    found = located(dropped("https://private:8443/landingzone/c/x/a.csv"), places, "literal")
    assert (found.account, found.container, found.path) == ("landingzone", "c", "x/a.csv")


def test_where_uris_are_percent_encoded_they_are_decoded() -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/a%20b.csv"
    assert located(dropped(uri), PLACES, "percent-encoded").path == "a b.csv"


def test_a_uri_that_names_no_blob_is_refused() -> None:
    with pytest.raises(UsageError, match="expected https://ACCOUNT"):
        located(dropped("https://landingzone.blob.core.windows.net/c"), PLACES, "literal")
    with pytest.raises(UsageError, match="expected azureml://datastores"):
        located(dropped("azureml://jobs/x"), PLACES, "literal")
    with pytest.raises(Refused, match="no datastore 'lost'"):
        located(dropped("azureml://datastores/lost/paths/a"), PLACES, "literal")
    with pytest.raises(UsageError, match="leave --container out"):
        located(dropped("azureml://datastores/x/paths/a", container="c"), PLACES, "literal")


# --- the command --------------------------------------------------------------------------------


async def test_a_path_needs_no_settings_and_no_network(command: Commands, tmp_path: Path) -> None:
    without = dict.fromkeys(set(command.environment()) - set(os.environ), "")
    ended = await command("route", "landing/inbox/b1/x.png", "--output", "json", **without)
    assert (ended.code, ended.err) == (0, "")
    assert ended.document["path"] == "landing/inbox/b1/x.png"
    first, *others = ended.document["routes"]
    assert (first["route"], first["takes"], first["kind"]) == ("inbox", True, "file-of-folder")
    assert [(one["route"], one["takes"]) for one in others] == [
        ("cancer", False),
        ("digits", False),
    ]
    assert all(one["reason"] for one in others)


async def test_a_path_that_no_route_matches_has_another_exit_code(command: Commands) -> None:
    ended = await command("route", "nowhere/a.csv")
    assert ended.code == 3
    assert "cancer: no, match 'landing/cancer/**/*.csv': it does not begin" in ended.out
    assert ended.err == ""


async def test_a_url_and_a_version_are_looked_up_in_the_workspace(command: Commands) -> None:
    url = f"{command.azure.storage.blob}/{LANDING_ACCOUNT}/{CONTAINER}/landing/cancer/a.csv"
    ended = await command("route", url, "--etag", '"0x1"', "--output", "json")
    assert (ended.code, ended.err) == (0, "")
    first = ended.document["routes"][0]
    assert ended.document["path"] == "landing/cancer/a.csv"
    assert first["datastore"] == DATASTORE
    assert len(first["job"]) == 24
    assert first["job"] in first["output"]

    elsewhere = await command("route", "landing/cancer/a.csv", "--container", "nowhere")
    assert elsewhere.code == 3
    assert "cancer: no, its datastore" in elsewhere.out
