"""Errors of the Azure SDKs and of httpx, told in Landfall's own words: here and nowhere else."""

import contextlib
from collections.abc import Iterator

import httpx
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)

from scoring.errors import Denied, LandfallError, SetupError, Unavailable

EXPECTED = (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError)
"""Answers that a caller asked for: a condition did not hold, or there is no such blob."""

_KINDS: dict[int, type[LandfallError]] = {401: SetupError, 403: Denied}


@contextlib.contextmanager
def translating_errors(what: str) -> Iterator[None]:
    """Cooldown what goes wrong with `what` into `Unavailable` or `SetupError`.

    `EXPECTED` errors pass: their callers know what they mean.
    """
    try:
        yield
    except EXPECTED:
        raise
    except HttpResponseError as answer:
        # One without a status comes from a credential that could not get a token.
        kind = _KINDS.get(answer.status_code or 0, Unavailable)
        status = f"{answer.status_code}: " if answer.status_code else ""
        raise kind(f"{what}: {status}{_first_line(answer)}") from None
    except (AzureError, httpx.HTTPError, TimeoutError, OSError) as failure:
        raise Unavailable(f"{what}: {type(failure).__name__}: {_first_line(failure)}") from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
