"""How the memory of an upload grows with the size of what is uploaded.

`python -m bench.upload_memory` uploads a file of 3 MB and one of 300 MB to the local Azure by
`data create`, each in a process of its own, and prints the peak of its resident memory and the
ratio of the two. One that does not grow is near 1.
"""

import asyncio
import os
import resource
import sys
import tempfile
from pathlib import Path

MEGABYTE = 1_000_000
SIZES = (3, 300)  # megabytes


def _peak() -> float:
    """Return the most memory that this process ever had, in megabytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1_024 / MEGABYTE


def _upload(file: str) -> None:
    from scoring.cli.main import main  # noqa: PLC0415 - in the measured process only

    code = main(["data", "create", Path(file).stem, file, "--output", "json"])
    print(_peak(), file=sys.stderr)
    sys.exit(code)


async def _measured(size: int, folder: Path) -> float:
    file = folder / f"upload-of-{size}"
    with file.open("wb") as stream:
        for _ in range(size):
            stream.write(os.urandom(MEGABYTE))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.upload_memory",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    file.unlink()
    if process.returncode:
        raise RuntimeError((out + err).decode())
    return float(err.split()[-1])


async def _measure(folder: Path) -> None:
    from local.run_folder import RunFolder  # noqa: PLC0415 - before aiohttp is

    run_folder = RunFolder(folder / "azure")
    os.environ["SSL_CERT_FILE"] = str(run_folder.ca_file)  # aiohttp reads it when it is imported
    from local import azure  # noqa: PLC0415
    from local.app_settings import app_settings  # noqa: PLC0415

    async with azure.start(run_folder):
        os.environ.update(app_settings(run_folder))
        peaks = {size: await _measured(size, folder) for size in SIZES}
    for size, peak in peaks.items():
        print(f"{size:>4} MB uploaded: {peak:.0f} MB of memory at the most")
    small, large = peaks.values()
    print(f"ratio: {large / small:.2f}")


def _main() -> None:
    if len(sys.argv) > 1:
        _upload(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


if __name__ == "__main__":
    _main()
