"""The process that runs one job's scoring script: `python -P worker.py`.

It reads one line of JSON, a `Work` of `local.azureml.scoring`, from standard input, which stays
open for as long as the parent lives: when it ends, this process and what it started end too.
It exits with 0, or leaves the reason in the file `error`. Only the standard library is imported.
"""

import importlib.util
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

_ALL_IGNORED = -1  # this error threshold is never exceeded


class ScoringError(Exception):
    """The job failed; the message is for the person who reads the job's error."""


class Score:
    """One run of a scoring script over all files of a job."""

    def __init__(self, work: dict[str, Any], script: ModuleType) -> None:
        self._work = work
        self._run: Callable[[list[str]], Any] = script.run
        self._output = Path(work["output"]) / work["output_file_name"]
        self.failed = 0  # files without a result
        self.last_error = ""

    def all(self) -> None:
        """Score mini-batch by mini-batch. Raises ScoringError beyond the error threshold."""
        if self._appends:
            self._output.touch()  # also a job without a single result has its output file
        for mini_batch in self._mini_batches():
            self.failed += len(mini_batch) - self._scored(mini_batch)
            if self._work["error_threshold"] != _ALL_IGNORED:
                self._check_threshold()

    @property
    def _appends(self) -> bool:
        return bool(self._work["output_action"] == "append_row")

    def _mini_batches(self) -> Iterator[list[str]]:
        files, size = self._work["files"], self._work["mini_batch_size"]
        for start in range(0, len(files), size):
            yield files[start : start + size]

    def _scored(self, mini_batch: list[str]) -> int:
        """Return how many files of a mini-batch have a result: none if every try failed."""
        for _ in range(1 + self._work["max_retries"]):
            try:
                result = _checked(self._within_timeout(mini_batch))
            except Exception as error:  # noqa: BLE001 - whatever the script does is its failure
                self.last_error = describe(error)
            else:
                self.last_error = ""
                if self._appends:
                    self._append(result)
                return min(len(mini_batch), len(result))
        return 0

    def _within_timeout(self, mini_batch: list[str]) -> Any:
        """Call run(). A signal interrupts it, but not within a call to C that does not return."""
        seconds = self._work["timeout"]

        def stop(_: int, __: FrameType | None) -> NoReturn:
            raise TimeoutError(f"run() took longer than its timeout of {seconds:g} s")

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            return self._run(list(mini_batch))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _append(self, result: Any) -> None:
        with self._output.open("a", encoding="utf-8", newline="") as output:
            if _is_data_frame(result):
                result.to_csv(output, sep=" ", header=False, index=False, lineterminator="\n")
            else:
                output.writelines(f"{item}\n" for item in result)

    def _check_threshold(self) -> None:
        threshold = self._work["error_threshold"]
        if self.failed > threshold:
            raise ScoringError(
                self.last_error
                or f"run() returned no result for {self.failed} files:"
                f" more than the error threshold of {threshold}"
            )


def _checked(result: Any) -> Any:
    """Return what run() returned if it can be taken; a data frame needs pandas only if it is one."""
    if _is_data_frame(result) or isinstance(result, list | tuple):
        return result
    if type(result).__name__ == "ndarray":
        return result.tolist()
    raise TypeError(f"run() must return a list or a pandas DataFrame, not {type(result).__name__}")


def _is_data_frame(result: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(result, pandas.DataFrame)


def describe(error: BaseException) -> str:
    """Write a traceback to the log; return its last line."""
    traceback.print_exception(error)
    return traceback.format_exception_only(error)[-1].strip()


def _load(script: Path) -> ModuleType:
    """Import the scoring script, in the folder of the code, as Azure ML does."""
    sys.path.insert(0, str(script.parent))
    if Path.cwd() != script.parent:
        sys.path.insert(0, str(Path.cwd()))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[script.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for function in ("init", "run"):
        if not callable(getattr(module, function, None)):
            raise ScoringError(f"{script.name} has no function {function}()")
    return module


def _tie_to_parent() -> None:
    """Keep standard input for ourselves, and end with our whole session when it ends."""
    lifeline = os.dup(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        if not os.read(lifeline, 1):
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _read_work() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: what is read ahead would be lost to the lifeline
        chunk = os.read(0, 1 << 16)
        if not chunk:
            os._exit(1)  # the parent is gone
        line += chunk
    work: dict[str, Any] = json.loads(line)
    return work


def main() -> int:
    """Do the work; return the exit status."""
    sys.dont_write_bytecode = True  # leave nothing in the folders of others
    work = _read_work()
    _tie_to_parent()
    os.chdir(work["code"])
    try:
        script = _load(Path(work["code"]) / work["script"])
        script.init()
        Score(work, script).all()
    except ScoringError as failure:
        Path(work["error"]).write_text(str(failure), encoding="utf-8")
    except BaseException as error:  # noqa: BLE001 - also SystemExit is no success here
        Path(work["error"]).write_text(describe(error), encoding="utf-8")
    else:
        return 0
    return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # a thread that the script left behind keeps no job running
