"""The names of blobs that the checks write, or that must not exist."""

import secrets


def probe_name() -> str:
    """Return a name that no other blob has."""
    return f"landfall-doctor-{secrets.token_hex(8)}"
