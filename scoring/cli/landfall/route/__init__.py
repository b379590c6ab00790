"""`route PATH`: which routes match a path, and why the others do not."""
