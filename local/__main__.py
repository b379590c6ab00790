"""The commands of the local Azure; `python -m local --help` lists them."""

import argparse
import asyncio
import contextlib
import functools
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console

from local import azure, azureml, identity, storage, topic
from local.board import Board
from local.deploy import DEPLOYMENTS, deploy
from local.drop import drop, get
from local.names import CONTAINER, LANDING_ACCOUNT
from local.run_folder import DEFAULT, RunFolder

Work = Callable[[RunFolder, argparse.Namespace], Coroutine[Any, Any, None]]

_PARTS: dict[str, Callable[[RunFolder], contextlib.AbstractAsyncContextManager[object]]] = {
    "storage": storage.start,
    "azureml": azureml.start,
    "topic": topic.start,
    "identity": identity.start,
}
_NEEDED_BY_HOST = sorted(_PARTS)
_ENDING = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130  # exit status

_HOW_TO_DROP = """\
A local Azure is running, with the function app on it. In another terminal, drop a file
and look at its result:

  {python} -m local drop{folder} local/samples/cancer/ward-01.csv --to landing/cancer/
  {python} -m local get{folder} <the path of the result>

Its receipt lies beside the result, with .receipt.json at the end. A folder of files is scored
ten seconds after the last one landed:

  {python} -m local drop{folder} local/samples/digits/*.png --to landing/inbox/mine/

Or with the Azure CLI or Storage Explorer, container {container}, by this connection string:

  {connection}

  completion events  {events}
  function log       {log}
  addresses          {addresses}

Ctrl-C ends it all.
"""

_console = Console(highlight=False, soft_wrap=True, markup=False)


def main() -> int:
    """Run one command; return the exit status."""
    options = _parser().parse_args()
    try:
        asyncio.run(_until_signal(options.work(RunFolder(options.folder), options)))
    except OSError as failure:
        what = f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure)
        _console.print(what, style="red")
        return 1
    except (RuntimeError, ValueError) as failure:
        _console.print(str(failure), style="red")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0 if options.stays else _INTERRUPTED
    return 0


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Run a command until it is done, or until SIGINT or SIGTERM cancels it."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

    def end() -> None:
        for number in _ENDING:  # ignore further signals: they would interrupt the clean-up
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        task.cancel()

    for number in _ENDING:
        loop.add_signal_handler(number, end)
    await task


async def _demo(folder: RunFolder, options: argparse.Namespace) -> None:
    from local.demo.run import run  # noqa: PLC0415 - scikit-learn takes a second to import

    _console.print(await run(folder, program=options.host, hosts=options.hosts))


async def _up(folder: RunFolder, options: argparse.Namespace) -> None:
    board = Board()
    log = folder.path / "host.log"
    async with (
        azure.start(folder) as running,
        azure.hosts(
            folder, board.on_line, count=options.hosts, program=options.host, pace=options.pace
        ) as hosts,
    ):
        _console.print(await deploy(folder, options.deployments))
        _console.print(
            _HOW_TO_DROP.format(
                python=_short(Path(sys.executable)),
                folder="" if options.folder == DEFAULT else f" --folder {options.folder}",
                container=CONTAINER,
                connection=running.storage.connection_string(LANDING_ACCOUNT),
                events=_short(running.topic.file),
                log=_short(log),
                addresses=_short(folder.addresses_file),
            )
        )
        with board.shown():
            await asyncio.gather(*(host.process.wait() for host in hosts))
    raise RuntimeError(f"the host has ended; {log} says why")


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


async def _host(folder: RunFolder, options: argparse.Namespace) -> None:
    missing = [part for part in _NEEDED_BY_HOST if part not in folder.addresses()]
    if missing:
        raise RuntimeError(f"start {', '.join(missing)} first, in the same folder {folder.path}")
    async with azure.hosts(
        folder, print, count=options.hosts, program=options.host, pace=options.pace
    ) as hosts:
        await asyncio.gather(*(host.process.wait() for host in hosts))


async def _part(name: str, folder: RunFolder, _: argparse.Namespace) -> None:
    async with _PARTS[name](folder):
        for what, address in folder.addresses()[name].items():
            _console.print(f"{what}: {address}")
        await asyncio.Event().wait()


async def _drop(folder: RunFolder, options: argparse.Namespace) -> None:
    for path in await drop(folder, options.files, options.to, dict(options.metadata)):
        _console.print(f"dropped {path}")


async def _get(folder: RunFolder, options: argparse.Namespace) -> None:
    sys.stdout.buffer.write(await get(folder, options.path))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local", description="An Azure on this machine for the function app."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    add = functools.partial(_add, commands)
    demo = add("demo", _demo, "drop real files, score them and check the results")
    up = add("up", _up, "run everything until Ctrl-C", stays=True)
    host = add("host", _host, "run the function app alone, on parts that run", stays=True)
    for command in (demo, up, host):
        command.add_argument("--host", choices=("local", "func"), default="local")
        command.add_argument("--hosts", type=int, default=1, help="how many hosts run the app")
    for command in (up, host):
        command.add_argument("--pace", type=float, default=1.0, help="shortens Landfall's waits")
    up.add_argument(
        "--deployments", type=Path, default=DEPLOYMENTS, help="folder of your endpoints"
    )
    for name in _PARTS:
        add(name, functools.partial(_part, name), f"run {name} alone until Ctrl-C", stays=True)
    dropping = add("drop", _drop, "upload files to the landing container")
    dropping.add_argument("files", nargs="+", type=Path, metavar="FILE")
    dropping.add_argument("--to", required=True, metavar="FOLDER", help="e.g. landing/cancer/")
    dropping.add_argument(
        "--metadata",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="e.g. landfall_order=4711",
    )
    add("get", _get, "write a result to standard output").add_argument("path", metavar="PATH")
    return parser


def _pair(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair:
        raise argparse.ArgumentTypeError(f"write NAME=VALUE, not {text!r}")
    return name, value


def _add(commands: Any, name: str, work: Work, summary: str, *, stays: bool = False) -> Any:
    command = commands.add_parser(name, help=summary, description=summary)
    command.add_argument("--folder", type=Path, default=DEFAULT, help="default: %(default)s")
    command.set_defaults(work=work, stays=stays)
    return command


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
