"""What a check finds: one line each, and how what goes wrong becomes one.

A look returns a sentence when all is fine, and raises otherwise:

    Finding         state
    returned        fine
    Doubtful        warning      it works, but somebody may not have meant it
    NotChecked      not-checked  it cannot be looked at
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
Mend = Mapping[int | str, str]
"""What to do by what a service said: its status, or its code, which goes before; 0: nothing."""

SECONDS = 45.0  # for one look

ROLES_TAKE_TIME = "(an assignment may take ten minutes until it counts)"

_MEND: Mend = {
    "AuthorizationFailure": "let this machine through the account's firewall",
    "PublicAccessNotPermitted": "the request came without a token",
    "InvalidAuthenticationInfo": "the token was refused: is the account in the identity's tenant?",
    0: "is the address right, and may this machine reach it (firewall, private endpoint)?",
}
_NO_MORE: Mend = MappingProxyType({})


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look brought to light."""

    check: str
    subject: str
    state: State
    message: str  # for what is wrong: how to mend it, too


class Doubtful(Exception):
    """Something works that somebody may not have meant."""


class NotChecked(Exception):
    """Something cannot be looked at; the message says why."""


class Wrong(Exception):
    """Something is not as it must be; the message says how to mend it."""


async def finding(check: str, subject: str, look: Awaitable[str], mend: Mend = _NO_MORE) -> Finding:
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
        message = _with(f"no answer within {SECONDS:.0f} s", mend.get(0) or _MEND[0])
    except Exception as failure:  # noqa: BLE001 - one look that breaks must not stop the others
        message = describe(failure, mend)
    return Finding(check=check, subject=subject, state=state, message=message)


async def findings(
    check: str, looks: Mapping[str, Awaitable[str]], mend: Mend = _NO_MORE
) -> list[Finding]:
    """Return what looks find that run at the same time, by their subjects, in their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(finding(check, subject, look, mend))
            for subject, look in looks.items()
        ]
    return [task.result() for task in tasks]


def refused(answer: httpx.Response) -> Refused:
    """Return an answer that is none to build on as a refusal, for a look to raise."""
    code = answer.headers.get("x-ms-error-code")
    said = f"{answer.status_code}: {code or what_it_says(answer)}".rstrip(": ")
    return Refused(said, status=answer.status_code, code=code)


def describe(failure: BaseException, mend: Mend = _NO_MORE) -> str:
    """Say what went wrong and, if it is known, what to do."""
    if isinstance(failure, Failure):
        said = str(failure)
        keys = (failure.details.get("code"), failure.details.get("status"))
    elif isinstance(failure, HttpResponseError) and failure.status_code:
        code = code_of(failure)
        said = f"{failure.status_code}: {': '.join(filter(None, [code, _first_line(failure)]))}"
        keys = (code, failure.status_code)
    elif isinstance(failure, LandfallError):
        return str(failure)
    elif isinstance(failure, (AzureError, httpx.HTTPError, OSError)):
        said, keys = f"{type(failure).__name__}: {_first_line(failure)}", (None, 0)
    else:
        return f"the check itself failed: {type(failure).__name__}: {failure}"
    both = {**_MEND, **mend}
    return _with(said, next((both[key] for key in keys if key in both), ""))


def _with(said: str, mend: str) -> str:
    return f"{said.rstrip('.')}; {mend}" if mend else said


def _first_line(failure: BaseException) -> str:
    return str(failure).strip().partition("\n")[0][:300]
