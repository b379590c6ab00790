"""The run folder of a local Azure: certificates, logs, and a JSON file of addresses."""

import contextlib
import fcntl
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

DEFAULT = Path(".local")


class RunFolder:
    """The folder that the parts of one local Azure share.

    Its `local.json` maps the name of each running part to its addresses.
    Parts that run in separate processes find each other there.
    """

    def __init__(self, path: Path = DEFAULT) -> None:
        self.path = path.absolute()
        self.ca_file = self.path / "ca.pem"
        self._server_file = self.path / "server.pem"
        self.addresses_file = self.path / "local.json"
        self.env_file = self.path / "env"
        self.path.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self._server_file.exists():
                self._make_certificates()

    @property
    def certificate_file(self) -> Path:
        """The server's key and certificate chain, in one PEM file."""
        return self._server_file

    def server_tls(self) -> ssl.SSLContext:
        """Return the TLS context of a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server_file)
        return context

    def client_tls(self) -> ssl.SSLContext:
        """Return a TLS context that trusts this folder's certificate authority only."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    def addresses(self) -> dict[str, dict[str, Any]]:
        """Return the addresses of all running parts, by part."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(self.addresses_file.read_text())
        except FileNotFoundError:
            return {}
        return found

    @contextlib.contextmanager
    def announced(self, part: str, **addresses: Any) -> Iterator[None]:
        """Keep the addresses of a part in the JSON file while the block runs."""
        self._change(lambda all_parts: all_parts.update({part: addresses}))
        try:
            yield
        finally:
            self._change(lambda all_parts: all_parts.pop(part, None))

    @contextlib.contextmanager
    def alone(self, part: str) -> Iterator[None]:
        """Lock a part, so that only one process runs it in this folder.

        Raises:
            RuntimeError: another process runs it.
        """
        with (self.path / f"{part}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(
                    f"{part} runs already in {self.path}: end it, or name another folder:"
                    " python -m local … --folder FOLDER"
                ) from None
            yield

    def _change(self, change: Callable[[dict[str, dict[str, Any]]], object]) -> None:
        with self._lock():
            addresses = self.addresses()
            change(addresses)
            fresh = self.addresses_file.with_suffix(".new")
            fresh.write_text(json.dumps(addresses, indent=2) + "\n")
            fresh.replace(self.addresses_file)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_certificates(self) -> None:
        authority = trustme.CA()
        server = authority.issue_cert("localhost", "*.localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.ca_file)
        server.private_key_and_cert_chain_pem.write_to_path(self._server_file)
