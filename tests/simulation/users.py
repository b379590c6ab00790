"""Users: they drop, change, move and delete files."""

import itertools
from typing import TYPE_CHECKING, Any

from scoring.jobs.blobs import Blob
from tests.fakes import PLACE
from tests.simulation.faults import MINUTE

if TYPE_CHECKING:
    from tests.simulation.world import World

QUIET = 2 * MINUTE  # of the folders that fill


class Users:
    """Whoever works with the landing storage and the app during a run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance
        self._kinds = sorted({one.match.split("/")[1] for one in world.routes})
        self._directories = itertools.count(1)
        self._files = itertools.count(1)
        self._left = 40  # of what this run's users change so: else each change would bring others

    def come(self) -> None:
        """Do things now and then; what they began has time to go wrong."""
        for _ in range(4 if self._world.races else self._chance.choice((2, 4, 8))):
            self._world.loop.call_later(
                self._chance.uniform(60, self._world.busy * 0.7), self._do_something
            )

    def drop_more(self) -> None:
        """Drop files just while a sweep is at work."""
        self._fill(self._chance.choice(self._kinds), self._chance.randrange(4))

    def meddle(self, path: str, *, often: bool, back: bool = True) -> None:
        """Change what somebody just looked at, or claimed: now and then."""
        folder = _is_folder(path)
        if any(not host.usable for host in self._world.hosts):
            often = True  # somebody stands still, and has seen what was before
        probability = 0.5 if often else 0.15 if folder else 0.04
        if not path.startswith("landing/") or not self._left:
            return
        if self._world.faults.happens("user: changes what was just looked at", probability):
            self._left -= 1
            if folder and back and self._chance.random() < 0.5:
                self._take_back(path)
            else:
                self._touch_file(self._file_in(path) if folder else path)

    def reconsider(self, path: str) -> None:
        """Take a folder back to an earlier version, just when that was left to a later one."""
        if _is_folder(path) and self._world.faults.happens("user: takes a folder back", 1.0):
            self._take_back(path)

    def _take_back(self, folder: str) -> None:
        """Delete what landed in a folder since an earlier version of it was claimed."""
        world = self._world
        present = {
            (path, blob.etag)
            for path, blob in world.storage.blobs.items()
            if path.startswith(f"{folder}/")
        }
        claimed = (job for _, job in world.ledger.claimed.values() if job.path == folder)
        versions = [world.promises.held.get(job.landing.etag, present) for job in claimed]
        earlier = [version for version in versions if version < present]
        if earlier:
            world.note("user", f"takes {folder} back to what it was")
            for path, _ in sorted(present - earlier[-1]):
                world.storage.remove(path)

    def _do_something(self) -> None:
        chance = self._chance
        others = () if self._world.races else ("odd", "operator")
        kind = chance.choice((*self._kinds, *self._kinds, *self._kinds, *others))
        if kind == "odd":
            self._world.faults.counts["message: malformed"] += 1
            self._world.queue.raise_nonsense()
        elif kind == "operator":
            self._world.operators.deploy_routes()
        elif self._world.faults.happens("blob: its directory renamed", 0.05):
            self._move_in(kind)
        elif self._world.faults.happens("blob: only stands for a directory", 0.05):
            self._make_directory(kind)
        else:
            self._fill(kind, chance.randrange(4))

    def _fill(self, kind: str, number: int) -> None:
        chance = self._chance
        if kind == "marked":
            self._put(f"landing/marked/b{number % 2}/{number}.png")
            self._put(f"landing/marked/b{number % 2}.done", size=0)
        elif kind in {"quiet", "calm"}:
            for _ in range(chance.randint(1, 3)):
                folder = f"landing/{kind}/b{number % 2}"
                self._touch_file(self._file_in(folder))
                # Somebody comes back just when the folder becomes quiet.
                again = chance.uniform(0.9 * QUIET, 1.5 * QUIET)
                self._world.loop.call_later(again, self._touch_file, self._file_in(folder))
        elif self._world.races:
            for _ in range(4):
                self._touch_file(f"landing/{kind}/{next(self._files)}.csv")
        else:
            for more in range(chance.choice((1, 4, 8) if kind == "few" else (1, 1, 3))):
                self._touch_file(f"landing/{kind}/{number + more}.csv")

    def _file_in(self, folder: str) -> str:
        if self._world.races and self._chance.random() < 0.8:
            return f"{folder}/more-{next(self._files)}.png"  # what was before can come back
        return f"{folder}/{self._chance.randrange(6)}.png"

    def _move_in(self, kind: str) -> None:
        """Fill a directory elsewhere and rename it into its place, as tools for Data Lake do."""
        number, storage = next(self._directories), self._world.storage
        staged = [f"staging/{number}/{name}.png" for name in range(self._chance.randint(1, 4))]
        for path in staged:
            storage.put(path)

        def rename() -> None:
            to = f"landing/{kind}/d{number}"
            self._world.note("user", f"renames a directory to {to}")
            for path in staged:
                storage.rename(path, path.replace(f"staging/{number}", to))
            self._world.queue.raise_rename(to, directory=True)

        self._world.loop.call_later(self._chance.choice((1, self._world.busy / 2)), rename)

    def _make_directory(self, kind: str) -> None:
        """Make an empty directory, as AzCopy does."""
        number = next(self._directories)
        folder = f"landing/{kind}" + ("/b0" if kind in {"marked", "quiet", "calm"} else "")
        self._put(f"{folder}/new-{number}.png", size=0, metadata={"Hdi_isfolder": "true"})

    def _touch_file(self, path: str) -> None:
        world, there = self._world, path in self._world.storage.blobs
        what = self._chance.random()
        if there and what < 0.25:
            world.note("user", f"deletes {path}")
            world.faults.counts["blob: deleted"] += 1
            world.storage.remove(path)
        elif there and what < 0.33 and world.sweeps:
            world.note("user", f"edits the metadata of {path}")
            world.faults.counts["blob: metadata edited"] += 1
            world.storage.put(path)  # another version, and no event
        elif there and what < 0.40:
            to = f"{path.rpartition('.')[0]}-moved.{path.rpartition('.')[2]}"
            world.note("user", f"renames {path}")
            world.faults.counts["blob: renamed"] += 1
            world.storage.rename(path, to)
            world.queue.raise_rename(to)
        elif what < 0.47 and world.sweeps:
            self._copy(path)
        elif what > 0.96:
            self._create_and_fill(path)
        else:
            world.faults.counts["blob: overwritten" if there else "blob: landed"] += 1
            self._put(path)

    def _create_and_fill(self, path: str) -> None:
        """Create a file first and write its content later, or never."""
        storage = self._world.storage
        self._world.faults.counts["blob: empty at first"] += 1
        empty = self._put(path, size=0)

        def fill() -> None:
            if storage.blobs.get(path) == empty:
                self._put(path)

        later = self._chance.choice((1, MINUTE, 40 * MINUTE, None))
        if later is not None:
            self._world.loop.call_later(later, fill)

    def _copy(self, path: str) -> None:
        """Copy a file there in the background: of the whole version no event tells."""
        storage = self._world.storage
        self._world.faults.counts["blob: copied"] += 1
        part = self._put(path, copying=True)

        def arrive() -> None:
            if storage.blobs.get(path) == part:
                self._world.note("user", f"has copied {path} {storage.put(path).etag}")

        self._world.loop.call_later(self._chance.choice((1, MINUTE, 15 * MINUTE)), arrive)

    def _put(self, path: str, *, size: int = 10, **properties: Any) -> Blob:
        blob = self._world.storage.put(path, size=size, **properties)
        self._world.note("user", f"drops {path} {blob.etag}")
        self._world.queue.raise_event(blob.landing(PLACE, blob.modified))
        return blob


def _is_folder(path: str) -> bool:
    return "." not in path  # all files have a suffix here
