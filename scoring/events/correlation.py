"""What comes back to who drops a file: metadata of the landed blob, in its completion event."""

import json
from collections.abc import Mapping

LONGEST = 4_000  # characters of the text; a ledger entry's metadata have 8 KiB in all


def correlation(metadata: Mapping[str, str], prefix: str) -> tuple[str, list[str]]:
    """Return the metadata whose names begin with a prefix, and the names that had no room.

    The first is a JSON object in ASCII; empty without any. Names are tried in their order, and
    compared without regard to case, as the storage does. Half a character, as a client leaves it
    that reads other bytes than UTF-8, becomes a question mark: it could not be written.
    """
    chosen: dict[str, str] = {}
    left_out: list[str] = []
    for name in sorted(metadata, key=str.lower):
        if not name.lower().startswith(prefix.lower()):
            continue
        value = metadata[name].encode("utf-8", "replace").decode()
        more = {**chosen, name: value}
        if len(json.dumps(more)) <= LONGEST:
            chosen = more
        else:
            left_out.append(name)
    return json.dumps(chosen) if chosen else "", left_out
