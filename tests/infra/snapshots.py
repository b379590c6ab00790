"""`make snapshots`: what the smallest and the largest parameter file deploy, kept in infra/."""

import json
import sys

from tests.infra.deployment import INFRA, SIZES, snapshot_of


def main() -> None:
    """Renew both; outputs come in an order of their own each time, so they are sorted."""
    for size in SIZES:
        renewed = snapshot_of(INFRA / f"{size}.bicepparam", "overwrite")
        if renewed.returncode:
            sys.exit(renewed.stdout + renewed.stderr)
        file = INFRA / f"{size}.snapshot.json"
        kept = json.loads(file.read_text("utf-8"))
        kept["outputs"] = dict(sorted(kept["outputs"].items()))
        file.write_text(json.dumps(kept, indent=2, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main()
