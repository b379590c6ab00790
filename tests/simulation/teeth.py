"""`make teeth`: sabotages of the product's code, each of which the simulation must find.

Every one is applied to a copy of `scoring/`, alone.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.simulation.process import output_of

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 1_000  # within which each must be found


class Sabotage(NamedTuple):
    """A piece of the product's code, and what takes its place."""

    name: str
    file: str
    code: str
    instead: str


SABOTAGES = [
    Sabotage(
        "a blind retry after a timeout",
        "jobs/submission.py",
        "if isinstance(answer, NotSent):",
        "if not isinstance(answer, ErrorAnswer):",
    ),
    Sabotage(
        "what is being copied is submitted",
        "jobs/submission.py",
        "if any(blob.copying for blob in seen.blobs):",
        "if False:",
    ),
    Sabotage(
        "what stands for a directory is taken for a file",
        "jobs/blobs.py",
        "return self.size == 0 and marked",
        "return self.size == 0 and self.path.endswith('/')",
    ),
    Sabotage(
        "the size that an event says is believed",
        "use_cases/observe.py",
        "return entry.updated(size=blob.size) if job.route",
        "return entry if job.route",
    ),
    Sabotage(
        "an event without a time stops its message",
        "events/storage.py",
        "    except (ValueError, OverflowError):\n        return None",
        "    except OverflowError:\n        return None",
    ),
    Sabotage(
        "no nonce",
        "use_cases/ledger_writes.py",
        "return current, current is not None and current.progress.nonce == nonce",
        "return current, current is not None",
    ),
    Sabotage(
        "an unconditional save",
        "use_cases/ledger_writes.py",
        "    current, ours = await _try_save(services, entry, progress)\n    return current if",
        "    current, ours = await _try_save(services, entry, progress)\n"
        "    while not ours and current is not None:\n"
        "        current, ours = await _try_save(services, current, progress)\n    return current if",
    ),
    Sabotage(
        "done/ not looked up",
        "use_cases/submit.py",
        "    if end is not None:\n        # Its event",
        "    if False:\n        # Its event",
    ),
    Sabotage(
        "done/ looked up beside the create",
        "use_cases/submit.py",
        "    entry = await ledger_writes.claim(services, job, State.PENDING if waits",
        "    early = await services.ledger.end(job.key)\n"
        "    services = msgspec.structs.replace(services, ledger=_Early(services.ledger, early))\n"
        "    entry = await ledger_writes.claim(services, job, State.PENDING if waits",
    ),
    Sabotage(
        "done/ written after publishing",
        "use_cases/finish.py",
        "    written = await services.ledger.conclude(",
        "    await services.publisher.publish(event)\n    written = await services.ledger.conclude(",
    ),
    Sabotage(
        "an event's time from the host's clock",
        "use_cases/finish.py",
        "        ended=now,\n",
        "        ended=now + timedelta(seconds=services.clock() % 86_400),\n",
    ),
    Sabotage(
        "the watermark from the end of the pass",
        "use_cases/sweep.py",
        "first_page = mark.oldest_left or page.now",
        "first_page = page.now + self._timing.sweep_overlap",
    ),
    Sabotage(
        "the watermark moved before every claim was made",
        "use_cases/sweep.py",
        "        await for_each_then_raise(self._take, old)\n",
        "        with contextlib.suppress(Exception):\n"
        "            await for_each_then_raise(self._take, old)\n",
    ),
    Sabotage(
        "the limit counted before the claim",
        "use_cases/admission.py",
        "        if route not in self._limited:\n",
        "        if True:\n",
    ),
    Sabotage(
        "not listed taken for absent at the first look",
        "jobs/next_step.py",
        "(listed=isinstance(report, Found)) if tick.now >= last_look else Wait()",
        "(listed=isinstance(report, Found)) if last_look else Wait()",
    ),
    Sabotage(
        "the output's name without the attempt",
        "jobs/job.py",
        'key = self.key if attempt == 1 else f"{self.key}-{attempt}"',
        "key = self.key",
    ),
    Sabotage(
        "a lost attempt POSTed again",
        "jobs/progress.py",
        "            attempt=self.attempt + 1,\n",
        "            attempt=self.attempt + (not lost),\n",
    ),
    Sabotage(
        "a folder's key by counter",
        "jobs/folders.py",
        "etag=folder_digest(files)",
        'etag=f"{emptied}"',
    ),
    Sabotage(
        "a mark deleted with a later ETag",
        "use_cases/quiet_folders.py",
        "        await services.folders.drop_mark(mark)\n",
        "        marks = (await services.folders.filling()).marks\n"
        "        for current in marks:\n"
        "            if current.key == mark.key:\n"
        "                await services.folders.drop_mark(current)\n",
    ),
    Sabotage(
        "poison acknowledged before quarantine",
        "use_cases/on_poison.py",
        "        kept = await _keep(\n            services, DeadLetterKind.QUARANTINE",
        "        asyncio.ensure_future(_keep(services, DeadLetterKind.QUARANTINE, message, ''))\n"
        "        return\n"
        "        kept = await _keep(\n            services, DeadLetterKind.QUARANTINE",
    ),
    Sabotage(
        "a stale claim resubmitted without looking",
        "jobs/next_step.py",
        "    unknown = entry.progress.to(State.UNKNOWN, submitted=entry.changed)\n",
        "    unknown = entry.progress.to(State.PENDING)\n",
    ),
    Sabotage(
        "touches skipped for longer than quiet",
        "use_cases/quiet_folders.py",
        ".total_seconds() / TOUCHES",
        ".total_seconds() * 2",
    ),
    Sabotage(
        "open/ deleted before publishing",
        "use_cases/finish.py",
        "    await announce(services, entry, written, job)\n",
        "    await services.ledger.forget(entry)\n"
        "    await announce(services, entry, written, job)\n",
    ),
    Sabotage(
        "a job that waits canceled without being marked",
        "cli/landfall/ledger/operators.py",
        "marked = _canceled(entry.progress, State.SUBMITTING, now)",
        "marked = _canceled(entry.progress, State.PENDING, now)",
    ),
    Sabotage(
        "another attempt after a cancel",
        "jobs/next_step.py",
        '    if progress.cancel_asked is not None:\n        message = "an operator',
        '    if False:\n        message = "an operator',
    ),
    Sabotage(
        "what is scored again written over what was",
        "jobs/job.py",
        'key=digest(job.key, "again", request), again_of',
        'key=job.key + request[:1], output_base=job.output_base.replace("{key}", job.key), again_of',
    ),
    Sabotage(
        "the first watermark left in memory",
        "use_cases/sweep.py",
        "            await services.marks.leave_sweep_mark(name, begun)\n"
        "            mark, _ = await services.marks.sweep_mark(name)\n",
        "            mark = msgspec.structs.replace(begun, version=None)\n",
    ),
    Sabotage(
        "a folder submitted by the job of other files",
        "use_cases/folder_versions.py",
        "    if present.key in (job.key, job.again_of):\n",
        "    if True:\n",
    ),
    Sabotage(
        "files whose job was superseded left without one",
        "use_cases/folder_versions.py",
        "    while end is not None and is_superseded(end):\n",
        "    while False:\n",
    ),
    Sabotage(
        "a permanent refusal to show a blob waited out",
        "use_cases/observe.py",
        '        return Seen(trigger=Unreadable(message=f"{refusal.code}: {refusal}"))\n',
        "        raise\n",
    ),
    Sabotage(
        "an empty file rejected at once",
        "jobs/submission.py",
        "    if age < timing.empty_patience:\n",
        "    if False:\n",
    ),
    Sabotage(
        "a deployment that cannot run taken for a refusal of the job",
        "use_cases/submit.py",
        "    return ErrorAnswer(status=404, message=problem) if problem else endpoint\n",
        "    return endpoint\n",
    ),
    Sabotage(
        "a batch job gone that the workspace knows",
        "jobs/next_step.py",
        "    if isinstance(report, NotKnown):\n        return AskWorkspace()\n",
        "",
    ),
    Sabotage(
        "an attempt lost whose output is there",
        "jobs/next_step.py",
        "    return None if old else output\n",
        "    return None\n",
    ),
]
_IMPORTS = {
    "use_cases/finish.py": "from datetime import timedelta\n",
    "use_cases/sweep.py": "import contextlib\n",
    "use_cases/submit.py": (
        "import msgspec\n"
        "class _Early:\n"
        "    def __init__(self, ledger, end):\n"
        "        self._ledger, self._end = ledger, end\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(self._ledger, name)\n"
        "    async def end(self, key):\n"
        "        return self._end\n"
    ),
}


def main() -> None:
    """Try all of them, two at a time, and tell which were found."""
    wanted = sys.argv[1:]
    chosen = [one for one in SABOTAGES if not wanted or any(name in one.name for name in wanted)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_is_found, chosen))
    for sabotage, seed in zip(chosen, found, strict=True):
        print(f"{seed or 'NOT FOUND':>12}  {sabotage.name}")
    print(f"teeth: {sum(map(bool, found))} of {len(chosen)} sabotages found")
    sys.exit(not all(found))


def _is_found(sabotage: Sabotage) -> str | None:
    """Return the seed that finds it."""
    with tempfile.TemporaryDirectory() as folder:
        _copy(Path(folder), sabotage)
        settings = {"SEEDS": str(SEEDS), "FIRST": "0", "STOP": "1", "SEED": ""}
        output = output_of(Path(folder), **settings)
    return next(_seeds(output), None)


def _copy(folder: Path, sabotage: Sabotage) -> None:
    shutil.copytree(ROOT / "scoring", folder / "scoring")
    (folder / "tests").symlink_to(ROOT / "tests")
    file = folder / "scoring" / sabotage.file
    code = file.read_text("utf-8")
    if code.count(sabotage.code) != 1:
        sys.exit(f"{sabotage.name}: its code stands {code.count(sabotage.code)} times in {file}")
    imports = _IMPORTS.get(sabotage.file, "")
    head, first, rest = code.replace(sabotage.code, sabotage.instead).partition("\nimport ")
    file.write_text(head + "\n" + imports + first + rest, "utf-8")


def _seeds(output: str) -> Iterator[str]:
    for line in output.splitlines():
        if line.startswith("seed "):
            yield line.partition(":")[0]


if __name__ == "__main__":
    main()
