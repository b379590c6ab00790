"""The pins under which the worker library runs the app are those that are deployed."""

import re
from pathlib import Path

from packaging.requirements import Requirement

from tests.pages import ROOT

PYTHON_313 = {"python_version": "3.13", "python_full_version": "3.13.0"}


def pins(file: Path) -> dict[str, str]:
    lines = re.findall(r"^[^#\s][^\\\n]*", file.read_text(), re.MULTILINE)  # without hashes
    found = [Requirement(line) for line in lines]
    return {
        one.name: str(one.specifier)
        for one in found
        if one.marker is None or one.marker.evaluate(PYTHON_313)
    }


def test_the_product_is_tried_with_the_versions_that_are_deployed() -> None:
    """`make lock` writes both files; only the library and its own extension base come on top."""
    product, tried = (
        pins(ROOT / "requirements.txt"),
        pins(Path(__file__).parent / "requirements.txt"),
    )
    added = {"azure-functions-runtime", "azurefunctions-extensions-base"}
    assert {name: pin for name, pin in tried.items() if name not in added} == product
    assert tried.keys() - product.keys() == added
