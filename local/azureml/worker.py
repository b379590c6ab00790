"""The process that runs one job's scoring script: `python -P worker.py`.

It reads a line of JSON, a `Work` of `local.azureml.scoring`, from standard input. Standard input
stays open while the parent runs; when it ends, this process and its children are killed. The exit
status is 0, or the reason is in the file `error`. It imports the standard library only.
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

_NO_THRESHOLD = -1  # any number of files may fail


class ScoringError(Exception):
    """The job failed; the message becomes the job's error."""


class Score:
    """Runs a scoring script over all files of a job."""

    def __init__(self, work: dict[str, Any], script: ModuleType) -> None:
        self._work = work
        self._run: Callable[[list[str]], Any] = script.run
        self._output = Path(work["output"]) / work["output_file_name"]
        self.failed = 0  # files without a result
        self.last_error = ""

    def all(self) -> None:
        """Score all mini-batches. Raises ScoringError if the error threshold is exceeded."""
        if self._appends:
            self._output.touch()  # a job without results has an output file, too
        for mini_batch in self._mini_batches():
            self.failed += len(mini_batch) - self._scored(mini_batch)
            if self._work["error_threshold"] != _NO_THRESHOLD:
                self._check_threshold()

    @property
    def _appends(self) -> bool:
        return bool(self._work["output_action"] == "append_row")

    def _mini_batches(self) -> Iterator[list[str]]:
        files, size = self._work["files"], self._work["mini_batch_size"]
        for start in range(0, len(files), size):
            yield files[start : start + size]

    def _scored(self, mini_batch: list[str]) -> int:
        """Return how many files of a mini-batch have a result: 0 if all attempts failed."""
        for _ in range(1 + self._work["max_retries"]):
            try:
                result = _checked(self._within_timeout(mini_batch))
            except Exception as error:  # noqa: BLE001 - any error of the script fails the attempt
                self.last_error = describe(error)
            else:
                self.last_error = ""
                if self._appends:
                    self._append(result)
                return min(len(mini_batch), len(result))
        return 0

    def _within_timeout(self, mini_batch: list[str]) -> Any:
        """Call run(). A signal interrupts it at the timeout, but not within a call of C code."""
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
    """Check the type of run()'s result; convert an array to a list."""
    if _is_data_frame(result) or isinstance(result, list | tuple):
        return result
    if type(result).__name__ == "ndarray":
        return result.tolist()
    raise TypeError(f"run() must return a list or a pandas DataFrame, not {type(result).__name__}")


def _is_data_frame(result: Any) -> bool:
    pandas = sys.modules.get("pandas")  # imported by scripts that use it, not here
    return pandas is not None and isinstance(result, pandas.DataFrame)


def describe(error: BaseException) -> str:
    """Log a traceback; return its last line."""
    traceback.print_exception(error)
    return traceback.format_exception_only(error)[-1].strip()


def _load(script: Path) -> ModuleType:
    """Import the scoring script from the folder of the code, as Azure ML does."""
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
    """Hide standard input from the script, and kill the whole process group when it ends."""
    lifeline = os.dup(0)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        if not os.read(lifeline, 1):
            os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _read_work() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):  # unbuffered, so that nothing after the line is consumed
        chunk = os.read(0, 1 << 16)
        if not chunk:
            os._exit(1)  # the parent has ended
        line += chunk
    work: dict[str, Any] = json.loads(line)
    return work


def main() -> int:
    """Score the files; return the exit status."""
    sys.dont_write_bytecode = True  # leave no __pycache__ in the folders of the code
    work = _read_work()
    _tie_to_parent()
    os.chdir(work["code"])
    try:
        script = _load(Path(work["code"]) / work["script"])
        script.init()
        Score(work, script).all()
    except ScoringError as failure:
        Path(work["error"]).write_text(str(failure), encoding="utf-8")
    except BaseException as error:  # noqa: BLE001 - SystemExit is a failure here, too
        Path(work["error"]).write_text(describe(error), encoding="utf-8")
    else:
        return 0
    return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # do not wait for threads that the script has left behind
