"""Access tokens of the local Azure: JWTs that say whom they are for, signed by nobody."""

import base64
import json
import time
from typing import Any

from local.names import TENANT


def issue(audience: str, *, client: str, lifetime: float = 86_400) -> str:
    """Return a token for `audience` that names `client` as its holder, valid for `lifetime` seconds.

    Azurite reads `aud`, `iss`, `nbf` and `exp`; nobody reads a signature.
    """
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "appid": client,
        "iat": now,
        "nbf": now - 60,
        "exp": now + int(lifetime),
    }
    return ".".join(
        (_segment({"alg": "none", "typ": "JWT"}), _segment(claims), _base64url(b"unsigned"))
    )


def claims(token: str) -> dict[str, Any]:
    """Return what a token says, or nothing if it is not a token of ours."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def refusal(authorization: str | None, audience: str) -> str | None:
    """Say why an Authorization header does not open the door for `audience`; None if it does."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return "no bearer token"
    said = claims(token)
    if str(said.get("aud", "")).rstrip("/") != audience.rstrip("/"):
        return f"the token is for {said.get('aud')!r}, not for {audience!r}"
    if float(said.get("exp", 0)) <= time.time():
        return "the token has expired"
    return None


def _segment(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
