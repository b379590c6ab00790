"""`--output`, and the places of outputs."""

from datetime import UTC, datetime

import pytest

from scoring.cli.azureml.invoke.output_options import OutputOptions
from scoring.cli.azureml.invoke.outputs import checked, unique
from scoring.cli.failures import UsageError
from scoring.routes.route import OutputKind

URI = "azureml://datastores/workspaceblobstore/paths/scored/p.csv"


@pytest.mark.parametrize(
    ("values", "as_json", "uri"),
    [
        ((), False, None),
        (("text",), False, None),
        (("json",), True, None),
        ((URI,), False, URI),
        ((URI, "json"), True, URI),
        (("json", URI), True, URI),
        (("azureml:elsewhere",), False, "azureml:elsewhere"),
    ],
)
def test_output_says_how_to_print_and_where_the_output_goes(
    values: tuple[str, ...], as_json: bool, uri: str | None
) -> None:
    options = OutputOptions(output=values)
    assert options.as_json is as_json
    assert options.output_uri == uri


@pytest.mark.parametrize("values", [("jsn",), ("scored/p.csv",), (URI, URI), ("json", "text")])
def test_a_value_that_is_neither_or_given_twice_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--output"):
        _ = OutputOptions(output=values).output_uri


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        (URI, "file"),
        (URI.removesuffix("p.csv"), "folder"),
        (
            URI.replace("datastores/", "subscriptions/s/resourceGroups/g/workspaces/w/datastores/"),
            "file",
        ),
    ],
)
def test_an_output_lies_on_a_datastore(uri: str, kind: OutputKind) -> None:
    assert checked(uri, kind) == uri


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("https://a.blob.core.windows.net/c/p.csv", "file"),
        ("azureml:mnist:1", "file"),
        ("azureml://locations/l/workspaces/w/data/mnist/versions/1", "file"),
        ("azureml://datastores/d/paths/", "folder"),
        (URI.removesuffix("p.csv"), "file"),
        (URI, "none"),
    ],
)
def test_no_output_lies_elsewhere(uri: str, kind: OutputKind) -> None:
    with pytest.raises(UsageError, match="--output"):
        checked(uri, kind)


def test_an_output_of_its_own_tells_the_endpoint_and_the_time() -> None:
    now = datetime(2026, 11, 25, 13, 39, 23, tzinfo=UTC)
    assert unique("store", "heart", "predictions.csv", now, "0a1b2c3d") == (
        "azureml://datastores/store/paths/scored-by-hand/heart/20261125T133923Z-0a1b2c3d"
        "/predictions.csv"
    )
