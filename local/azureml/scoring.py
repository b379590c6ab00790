"""The work of a job: download the input, run the scoring script in a process, upload the output."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from local.azureml import blobs
from local.azureml.blobs import Blobs, JobFailed
from local.azureml.jobs import BatchJob
from local.azureml.uris import BlobPath, ContainerRef
from local.run_folder import RunFolder

_WORKER = Path(__file__).with_name("worker.py")


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """The input of the worker process."""

    code: str  # a folder
    script: str  # in that folder
    files: list[str]
    mini_batch_size: int
    max_retries: int
    timeout: float  # seconds
    error_threshold: int
    output_action: str
    output: str  # a folder
    output_file_name: str
    error: str  # a file for the reason if the job fails


@dataclass(frozen=True, kw_only=True)
class Program:
    """The files of a deployment on this machine."""

    code: Path  # the folder
    script: str  # in the folder
    model: Path | None  # file or folder
    environment_variables: Mapping[str, str]


async def score(
    folder: RunFolder, job: BatchJob, program: Program, source: ContainerRef, target: BlobPath
) -> None:
    """Score a job's input and upload the output.

    All files that the script writes to `AZUREML_BI_OUTPUT_PATH` are uploaded to the folder of the
    output file. With `append_row`, the worker writes the output file; with `summary_only`, there is
    one only if the script writes a file of that name. The script's standard output and log go to
    `jobs/<job>.log` in the run folder.

    Raises:
        JobFailed: the input does not exist, the output already exists, or the script failed.
    """
    async with blobs.opened(folder) as storage:
        with _job_folder(folder.path / "jobs" / job.name, program.model) as own:
            await storage.check_absent(target)
            files = await storage.fetch(source, job.kind, own / "input")
            await _run(_work(job, program, files, own, target), program, own)
            await _upload(storage, own / "output", target, job.name)


@contextlib.contextmanager
def _job_folder(own: Path, model: Path | None) -> Iterator[Path]:
    """Create the folder of a job, with the model in it as Azure ML mounts it; remove it afterwards."""
    try:
        for part in ("input", "output", "model"):
            (own / part).mkdir(parents=True)
        if model is not None:
            _link(model, own / "model" / model.name)
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _link(model: Path, to: Path) -> None:
    """Link each file, not the folder: scripts that search for files do not follow links to folders."""
    if model.is_dir():
        shutil.copytree(model, to, copy_function=os.symlink)
    else:
        to.symlink_to(model)


def _work(job: BatchJob, program: Program, files: list[Path], own: Path, target: BlobPath) -> Work:
    settings = job.settings
    return Work(
        code=str(program.code),
        script=program.script,
        files=list(map(str, files)),
        mini_batch_size=settings.mini_batch_size,
        max_retries=settings.max_retries,
        timeout=settings.timeout.total_seconds(),
        error_threshold=settings.error_threshold,
        output_action=settings.output_action,
        output=str(own / "output"),
        output_file_name=blobs.file_name(target.path),
        error=str(own / "error.txt"),
    )


async def _run(work: Work, program: Program, own: Path) -> None:
    log = own.with_suffix(".log")
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(_WORKER)),
            stdin=asyncio.subprocess.PIPE,  # it ends when this process ends, and the worker with it
            stdout=output,
            stderr=output,
            env=_environment(program.environment_variables, own),
            start_new_session=True,
        )
    try:
        await _send(process, work)
        status = await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the worker and its children
        await process.wait()
    if status:
        raise JobFailed(
            _reason(work, f"the scoring process ended with exit code {status}; see {log}")
        )


async def _send(process: asyncio.subprocess.Process, work: Work) -> None:
    assert process.stdin is not None
    with contextlib.suppress(ConnectionError):  # it has ended already: see its exit code
        process.stdin.write(msgspec.json.encode(work) + b"\n")
        await process.stdin.drain()


def _reason(work: Work, default: str) -> str:
    try:
        return Path(work.error).read_text(encoding="utf-8")
    except FileNotFoundError:
        return default


def _environment(own_variables: Mapping[str, str], own: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        **own_variables,
        "AZUREML_MODEL_DIR": str(own / "model"),
        "AZUREML_BI_OUTPUT_PATH": str(own / "output"),
    }


async def _upload(storage: Blobs, output: Path, target: BlobPath, job: str) -> None:
    """Upload the script's files; the output file comes last, so once it is there, all are."""
    beside, main = PurePosixPath(target.path).parent, blobs.file_name(target.path)
    for name in sorted(_files_below(output), key=lambda name: (name == main, name)):
        path = target.path if name == main else str(beside / name)
        await storage.create(BlobPath(target.account, target.container, path), output / name, job)


def _files_below(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(folder).as_posix() for path in files]
