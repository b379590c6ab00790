"""What all parts of the ledger share: how its blobs are written, and what its errors mean."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError

from scoring.azure_errors import told_as_ours
from scoring.errors import SetupError


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Tell what goes wrong with the ledger in Landfall's own words."""
    try:
        with told_as_ours("the ledger"):
            yield
    except ResourceNotFoundError as missing:
        # Where a blob may be missing its caller has caught this already.
        raise SetupError(f"the ledger: its container is missing: {missing.reason}") from None


def only_if(version: str) -> dict[str, Any]:
    """Return the condition that a blob still has this version."""
    # Headers carry ETags in quotes; the SDK adds none.
    return {"etag": f'"{version}"', "match_condition": MatchConditions.IfNotModified}


def date(page: Any) -> datetime:
    """Return the storage's time of an answer."""
    return parsedate_to_datetime(page.http_response.headers["Date"])
