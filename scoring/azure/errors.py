"""Translates errors of the Azure SDKs and of httpx into Landfall's own: here and nowhere else.

The SDK's class says little: it makes every 409 of storage a ResourceExistsError, whether the blob
is there already, is a directory, or cannot be read without a key. So the code of the service
decides, as in "Blob Storage error codes" and "Common REST API error codes" of Azure's
documentation. Storage names one with each refusal, in a header, which HEAD has too; what comes
without one comes from something in between, and says nothing of the blob.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import httpx
from azure.core.exceptions import AzureError, HttpResponseError

from scoring.errors import Denied, LandfallError, Refused, SetupError, Unavailable

EXISTS = frozenset({"BlobAlreadyExists", "PathAlreadyExists", "ResourceAlreadyExists"})
"""It is there already."""
CHANGED = frozenset({"ConditionNotMet", "TargetConditionNotMet"})
"""It is not in the version that was named."""
MISSING = frozenset({"BlobNotFound", "ContainerNotFound", "PathNotFound", "ResourceNotFound"})
"""It is not there."""
FOR_GOOD = frozenset(
    {
        # 409, also to HEAD: written with a key that only its writer has (azure-sdk-for-net#20361)
        "BlobUsesCustomerSpecifiedEncryption",
        # 409: of a type that the version of the API does not know
        "FeatureVersionMismatch",
        # 409: a directory lies where a file is asked for, or the reverse
        "ResourceTypeMismatch",
        # 409: of writes to what a policy or a legal hold keeps as it is
        "BlobImmutableDueToLegalHold",
        "BlobImmutableDueToPolicy",
    }
)
"""This one blob is refused for good, and no other. Refusals that a change of the set-up ends are
not among them."""

ANOTHER_SHAPE = (
    ArithmeticError,
    AttributeError,
    ExceptionGroup,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What client libraries raise when an answer, or an address in it, is not what they expect."""

_PASSING = frozenset(
    {
        "AccountBeingCreated",
        "BlobBeingRehydrated",
        "ContainerBeingDeleted",
        "LeaseAlreadyPresent",
        "LeaseIdMismatchWithBlobOperation",
        "LeaseIdMissing",
        "LeaseLost",
        "PendingCopyOperation",
        "SystemInUse",
    }
)
"""Conflicts that end by themselves."""
_ANSWERS_LATER = frozenset({408, 429})
_KINDS: dict[int, type[LandfallError]] = {401: SetupError, 403: Denied}


class Missing(Unavailable):
    """There is no such blob, or no container: who asks knows what that means."""


class Conflict(Unavailable):
    """A blob is there already, or not in the version that was named."""


@contextlib.contextmanager
def translating_errors(what: str) -> Iterator[None]:
    """Turn what goes wrong with `what` into an error of `scoring.errors`, `Missing` or `Conflict`."""
    try:
        yield
    except HttpResponseError as answer:
        raise _translated(what, answer) from None
    except (AzureError, httpx.HTTPError, httpx.InvalidURL, OSError, *ANOTHER_SHAPE) as failure:
        raise Unavailable(f"{what}: {type(failure).__name__}: {_first_line(failure)}") from None


@contextlib.asynccontextmanager
async def asking(what: str, *, within: float = 60.0) -> AsyncIterator[None]:
    """Do the same, and wait no longer than that: for all tries, all pages and the last byte."""
    try:
        async with asyncio.timeout(within):
            with translating_errors(what):
                yield
    except TimeoutError:
        raise Unavailable(f"{what}: no whole answer within {within:.0f} s") from None


def code_of(answer: HttpResponseError) -> str | None:
    """Return the code that the storage gave a refusal; None: none."""
    headers = getattr(answer.response, "headers", None) or {}
    code = headers.get("x-ms-error-code") or getattr(answer, "error_code", None)
    return None if code is None else str(getattr(code, "value", code))


def _translated(what: str, answer: HttpResponseError) -> LandfallError:
    code, status = code_of(answer), answer.status_code or 0
    message = f"{what}: " + ": ".join(filter(None, [str(status or ""), code, _first_line(answer)]))
    if code in FOR_GOOD:
        return Refused(message, code=code)
    if code in MISSING:
        return Missing(message)
    if code in EXISTS | CHANGED:
        return Conflict(message)
    if code in _PASSING or status in _ANSWERS_LATER or not 400 <= status < 500:
        return Unavailable(message)
    return _KINDS.get(status, SetupError)(message)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
