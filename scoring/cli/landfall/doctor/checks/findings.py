"""Findings: what a check reports, one line each.

A look returns a sentence if all is well, and raises otherwise:

    result          state
    returns         fine
    Doubtful        warning      it works, but may not be what the user wants
    NotChecked      not-checked  it cannot be checked
    anything else   wrong
"""

import asyncio
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Literal

import httpx
import msgspec
from azure.core.exceptions import AzureError, HttpResponseError

from scoring.azure.errors import code_of
from scoring.azure.reasons import what_it_says
from scoring.cli.failures import Failure, Refused
from scoring.errors import LandfallError

State = Literal["fine", "warning", "wrong", "not-checked"]
Remedies = Mapping[int | str, str]
"""What to do, by the service's error code, else by the HTTP status; 0: there was no answer."""

SECONDS = 45.0  # time limit of one look

ROLES_TAKE_TIME = "(an assignment may take ten minutes to become effective)"

_REMEDIES: Remedies = {
    "AuthorizationFailure": "let this machine through the account's firewall",
    "PublicAccessNotPermitted": "the request came without a token",
    "InvalidAuthenticationInfo": "the token was refused: is the account in the identity's tenant?",
    0: "is the address right, and can this machine reach it (firewall, private endpoint)?",
}
_NO_MORE: Remedies = MappingProxyType({})


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look found."""

    check: str
    subject: str
    state: State
    message: str  # if something is wrong, also what to do


class Doubtful(Exception):
    """It works, but may not be what the user wants."""


class NotChecked(Exception):
    """It cannot be checked; the message says why."""


class Wrong(Exception):
    """It is not as it must be; the message says what to do."""


async def finding(
    check: str, subject: str, look: Awaitable[str], remedies: Remedies = _NO_MORE
) -> Finding:
    """Return what a look finds."""
    state: State = "wrong"
    try:
        async with asyncio.timeout(SECONDS):
            state, message = "fine", await look
    except Doubtful as remark:
        state, message = "warning", str(remark)
    except NotChecked as reason:
        state, message = "not-checked", str(reason)
    except Wrong as mistake:
        message = str(mistake)
    except TimeoutError:
        message = _with(f"no answer within {SECONDS:.0f} s", remedies.get(0) or _REMEDIES[0])
    except Exception as failure:  # noqa: BLE001 - a look that fails must not stop the others
        message = describe(failure, remedies)
    return Finding(check=check, subject=subject, state=state, message=message)


async def findings(
    check: str, looks: Mapping[str, Awaitable[str]], remedies: Remedies = _NO_MORE
) -> list[Finding]:
    """Run looks at the same time, and return what they find, in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(finding(check, subject, look, remedies))
            for subject, look in looks.items()
        ]
    return [task.result() for task in tasks]


def refused(answer: httpx.Response) -> Refused:
    """Return an error answer as a failure, for a look to raise."""
    code = answer.headers.get("x-ms-error-code")
    message = f"{answer.status_code}: {code or what_it_says(answer)}".rstrip(": ")
    return Refused(message, status=answer.status_code, code=code)


def describe(failure: BaseException, remedies: Remedies = _NO_MORE) -> str:
    """Return what went wrong and, if that is known, what to do."""
    if isinstance(failure, Failure):
        message = str(failure)
        keys = (failure.details.get("code"), failure.details.get("status"))
    elif isinstance(failure, HttpResponseError) and failure.status_code:
        code = code_of(failure)
        message = f"{failure.status_code}: {': '.join(filter(None, [code, _first_line(failure)]))}"
        keys = (code, failure.status_code)
    elif isinstance(failure, LandfallError):
        return str(failure)
    elif isinstance(failure, (AzureError, httpx.HTTPError, OSError)):
        message, keys = f"{type(failure).__name__}: {_first_line(failure)}", (None, 0)
    else:
        return f"the check itself failed: {type(failure).__name__}: {failure}"
    known = {**_REMEDIES, **remedies}
    return _with(message, next((known[key] for key in keys if key in known), ""))


def _with(message: str, remedy: str) -> str:
    return f"{message.rstrip('.')}; {remedy}" if remedy else message


def _first_line(failure: BaseException) -> str:
    return str(failure).strip().partition("\n")[0][:300]
