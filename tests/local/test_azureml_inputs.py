"""All forms of the URI of an input."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from local.names import (
    CONTAINER,
    DATASTORE,
    LANDING_ACCOUNT,
    LOCATION,
    RESOURCE_GROUP,
    SUBSCRIPTION,
    WORKSPACE,
    WORKSPACE_ID,
)
from local.run_folder import RunFolder
from local.serving import serve
from local.storage import Storage
from tests.local.site import Site, opened

LONG = (
    f"azureml://subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    f"/workspaces/{WORKSPACE}/datastores/{DATASTORE}/paths/"
)
ASSET = f"azureml://locations/{LOCATION}/workspaces/{WORKSPACE}/data/mnist/versions/"


@pytest.fixture
async def site(folder: RunFolder, storage: Storage, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(folder, storage, tmp_path) as made:
        await made.put(**{"in/a b.csv": "1", "in/c": "2"})
        made.ml.data["mnist", "1"] = ("uri_folder", made.uri("in"))
        made.ml.data["mnist", "2"] = ("uri_file", made.uri("in/a b.csv"))
        yield made


async def scored(site: Site, uri: str, kind: str) -> str:
    job = await site.run(site.deploy(), kind=kind, uri=uri)
    assert job.message == ""
    return (await site.get("out.csv") or "").strip()


@pytest.mark.parametrize(
    "form",
    [
        f"azureml://datastores/{DATASTORE}/paths/{{here}}/in",
        f"azureml://datastores/{DATASTORE}/paths/{{here}}/in/",
        f"{LONG}{{here}}/in",
        f"{ASSET}1",
        f"{ASSET}1/",
        f"{WORKSPACE_ID}/data/mnist/versions/1",
        f"{WORKSPACE_ID.replace('resourceGroups', 'resourcegroups')}/data/mnist/versions/1",
        f"{{blob}}/{LANDING_ACCOUNT}/{CONTAINER}/{{here}}/in",
        f"https://{LANDING_ACCOUNT}.localhost/{CONTAINER}/{{here}}/in",
        f"https://{LANDING_ACCOUNT}.blob.core.windows.net/{CONTAINER}/{{here}}/in",
    ],
)
async def test_a_folder_may_be_named_in_any_form(form: str, site: Site, storage: Storage) -> None:
    uri = form.format(here=site.here, blob=storage.blob)
    assert await scored(site, uri, "UriFolder") == "a b.csv=1\nc=2"


@pytest.mark.parametrize(
    "form",
    [
        f"azureml://datastores/{DATASTORE}/paths/{{here}}/in/a b.csv",
        f"{LONG}{{here}}/in/a b.csv",
        f"{ASSET}2",
        f"{WORKSPACE_ID}/data/mnist/versions/2",
        f"{{blob}}/{LANDING_ACCOUNT}/{CONTAINER}/{{here}}/in/a%20b.csv?sas=ignored",
    ],
)
async def test_a_file_may_be_named_in_any_form(form: str, site: Site, storage: Storage) -> None:
    uri = form.format(here=site.here, blob=storage.blob)
    assert await scored(site, uri, "UriFile") == "a b.csv=1"


async def test_a_file_on_the_web_is_fetched(site: Site, folder: RunFolder) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(text="web")

    app = web.Application()
    app.router.add_get("/mnist/{file}", answer)
    async with serve(app, tls=folder.server_tls()) as url:
        assert await scored(site, f"{url}/mnist/0%20.png", "UriFile") == "0 .png=web"
        other: dict[str, Any] = {"OutputData": None}
        folder_job = await site.run("rows", kind="UriFolder", uri=f"{url}/mnist", **other)
        missing = await site.run("rows", kind="UriFile", uri=f"{url}/nothing", **other)
    assert "can be listed in our own storage only" in folder_job.message
    assert "404" in missing.message


async def test_whether_escapes_in_datastore_paths_are_decoded_is_a_switch(site: Site) -> None:
    await site.put(**{"in/x%20y": "escaped", "in/x y": "plain"})
    uri = site.uri("in/x%20y")
    literal = await scored(site, uri, "UriFile")
    site.ml.decode_percent = True
    job = await site.run(
        site.deploy(),
        kind="UriFile",
        uri=uri,
        OutputData={"o": {"JobOutputType": "UriFile", "Uri": quote(site.uri("two.csv"), ":/")}},
    )
    assert (literal, job.message) == ("x%20y=escaped", "")
    assert await site.get("two.csv") == "x y=plain\n"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("landing/a.csv", "none of the forms"),
        ("http://localhost/a.csv", "none of the forms"),
        ("azureml:mnist:1", "none of the forms"),
        ("azureml://datastores/other/paths/a", "no datastore 'other'"),
        (LONG.replace(WORKSPACE, "theirs") + "a", "'theirs' is not this workspace's"),
        (f"{ASSET}3", "no data asset mnist:3"),
        (f"{ASSET}1", "is a uri_folder"),
    ],
)
async def test_an_unknown_uri_is_a_validation_error(uri: str, says: str, site: Site) -> None:
    data = {"JobInputType": "UriFile", "Uri": uri}
    answer = await site.post("rows", {"properties": {"InputData": {"i": data}}})
    (mistake,) = answer.json()
    assert (answer.status_code, mistake["AttemptedValue"]) == (400, uri)
    assert says in mistake["ErrorMessage"]


@pytest.mark.parametrize(
    ("kind", "path", "says"),
    [
        ("UriFile", "in/missing", "there is no file"),
        ("UriFile", "in", "there is no file"),
        ("UriFolder", "nothing", "there are no files in the folder"),
        ("UriFolder", "i", "there are no files in the folder"),
    ],
)
async def test_a_missing_input_fails_the_job(kind: str, path: str, says: str, site: Site) -> None:
    job = await site.run("rows", path, kind=kind)
    assert job.status == "Failed"
    assert says in job.message


async def test_blobs_are_read_and_written_as_azure_ml_not_as_the_app(
    site: Site, storage: Storage
) -> None:
    await site.run("rows")
    mine = [one for one in storage.operations.log if one.blob.startswith(site.here)]
    did = {one.operation for one in mine if one.actor == "azureml"}
    assert did >= {"GetBlob", "PutBlob"}
    assert {one.actor for one in mine} == {"azureml", "key"}
