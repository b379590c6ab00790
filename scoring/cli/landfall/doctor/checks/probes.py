"""The names of what the checks write, or look for in vain."""

import secrets


def probe_name() -> str:
    """Return a name that nothing else has."""
    return f"landfall-doctor-{secrets.token_hex(8)}"
