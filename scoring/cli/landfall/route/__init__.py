"""`route PATH`: which routes take a path, and why the others do not."""
