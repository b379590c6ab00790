"""Scores files by the length of their paths."""


def init() -> None:
    """Load nothing."""


def run(mini_batch: list[str]) -> list[str]:
    """Return a row for each file."""
    return [f"{len(path)}" for path in mini_batch]
