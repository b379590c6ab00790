"""Which settings are asked for."""

from collections.abc import Iterator, Mapping


class Recording(Mapping[str, str]):
    """An environment that keeps which names it was asked for."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)
