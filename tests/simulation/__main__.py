"""`make simulate SEEDS=n [FIRST=k]`, or `SEED=k` to replay one run with its history."""

import gc
import hashlib
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

import msgspec

from tests.simulation.alphabet import never_happened
from tests.simulation.world import World

ENOUGH = 1_000  # seeds in which each fault and each edge has to happen
_CHUNK = 100  # seeds


class Ran(msgspec.Struct):
    """What came of some seeds."""

    seeds: int = 0
    steps: int = 0
    seconds: float = 0.0  # of one core
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    violations: list[str] = []

    def add(self, other: "Ran") -> None:
        """Take another's figures in."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.seconds += other.seconds
        self.counts.update(other.counts)
        self.violations.extend(other.violations)


def main() -> None:
    """Run the seeds that the environment names; stop at the first violation if STOP is set."""
    one = os.environ.get("SEED")
    if one:
        sys.exit(_replay(int(one)))
    first = int(os.environ.get("FIRST") or 0)
    seeds = range(first, first + int(os.environ.get("SEEDS") or 100))
    sys.exit(_simulate(seeds, stop=bool(os.environ.get("STOP"))))


def _simulate(seeds: range, *, stop: bool) -> bool:
    """Run seeds on all cores and print what happened; tell whether something was wrong."""
    all_of_them = Ran()
    for ran in _on_one_core(seeds) if stop else _on_all_cores(seeds):
        all_of_them.add(ran)
        for violation in ran.violations:
            print(violation, flush=True)
        if ran.violations and stop:
            break
    missing = never_happened(all_of_them.counts) if all_of_them.seeds >= ENOUGH else []
    for what, count in sorted(all_of_them.counts.items()):
        print(f"{count:9}  {what}")
    for what in missing:
        print(f"        0  {what}: it must happen in {ENOUGH} seeds")
    print(_summary(all_of_them))
    return bool(all_of_them.violations or missing)


def _summary(ran: Ran) -> str:
    faults = sum(count for what, count in ran.counts.items() if not what.startswith("edge"))
    return (
        f"{ran.seeds / max(ran.seconds, 1e-9):.0f} seeds a second and core\n"
        f"simulate: {ran.seeds} seeds, {ran.steps} steps, {faults} faults,"
        f" {len(ran.violations)} violations"
    )


def _on_all_cores(seeds: range) -> Iterator[Ran]:
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    # Each chunk in a process of its own: its end frees what the runs leave behind.
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        yield from pool.imap(_run, chunks, chunksize=1)


def _on_one_core(seeds: range) -> Iterator[Ran]:
    for seed in seeds:
        yield _run(range(seed, seed + 1))


def _run(seeds: range) -> Ran:
    logging.getLogger("landfall").setLevel(logging.CRITICAL + 1)
    gc.disable()  # a run leaves a third of a megabyte in cycles; finding them takes long
    ran, began = Ran(), time.perf_counter()
    for seed in seeds:
        world = World(seed)
        broken = world.run()
        ran.violations += [f"seed {seed}: {one}\n  make simulate SEED={seed}" for one in broken]
        ran.counts.update(world.faults.counts)
        ran.steps += world.steps
    ran.seeds, ran.seconds = len(seeds), time.perf_counter() - began
    return ran


def _replay(seed: int) -> bool:
    """Run one seed and print its history."""
    logging.getLogger("landfall").setLevel(logging.CRITICAL + 1)
    world = World(seed)
    broken = world.run()
    lines = [
        f"{at:10.1f}  {who:9} {what} {args or ''} {'' if result is None else f'-> {result}'}"
        for at, who, what, args, result in world.history
    ]
    print("\n".join(line[:500] for line in lines))
    print(f"history: {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}")
    for violation in broken:
        print(f"seed {seed}: {violation}")
    counts, steps = world.faults.counts, world.steps
    print(_summary(Ran(seeds=1, steps=steps, counts=counts, violations=broken)))
    return bool(broken)


if __name__ == "__main__":
    main()
