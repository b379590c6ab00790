"""Secrets in foreign text: what a service says may quote a SAS, a key or a token."""

import re

_SECRET = re.compile(
    r"(?P<named>\b(?:sig|accountkey|sharedaccesskey|sharedaccesssignature|aeg-sas-key|"
    r"aeg-sas-token|access_token|client_secret)[\"']?\s*[=:]\s*[\"']?)[^&;,\s\"']+"
    r"|(?P<scheme>\bbearer\s+)[^\s\"',;]+"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return text as it may stand in a log, an event or the ledger: without secrets.

    Half a character, as services leave it when they cut a text, becomes a question mark: it could
    not be written.
    """
    safe = _SECRET.sub(lambda found: f"{found['named'] or found['scheme'] or ''}***", text)
    return safe.encode("utf-8", "replace").decode()
