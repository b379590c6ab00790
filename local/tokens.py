"""Access tokens of the local Azure: JWTs without a signature."""

import base64
import json
import time
from typing import Any

from local.names import TENANT


def issue(audience: str, *, client: str, lifetime: float = 86_400) -> str:
    """Return a token for `audience`, issued to `client` and valid for `lifetime` seconds.

    Azurite checks `aud`, `iss`, `nbf` and `exp`, and no signature.
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
    """Return the claims of a token; none if it is not a JWT."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def refusal(authorization: str | None, audience: str) -> str | None:
    """Return why an Authorization header is not accepted for `audience`; None if it is."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return "no bearer token"
    found = claims(token)
    if str(found.get("aud", "")).rstrip("/") != audience.rstrip("/"):
        return f"the token is for {found.get('aud')!r}, not for {audience!r}"
    if float(found.get("exp", 0)) <= time.time():
        return "the token has expired"
    return None


def _segment(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
