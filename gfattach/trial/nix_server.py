"""The embedded Nix binary cache: an HTTP server for a few documents, one key, loopback only."""

from __future__ import annotations

import contextlib
import functools
import socket
import socketserver
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gfattach.core import files
from gfattach.core.errors import StorageError
from gfattach.core.quote import word
from gfattach.nixcache import signature
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.signature import SecretKey
from gfattach.nixcache.storepath import text_path
from gfattach.nixcache.target import PROBE_CONTENT, PROBE_NAME
from gfattach.trial.nix_documents import SIGNED, Document, documents_of
from gfattach.trial.ports import LOOPBACK, port_error

#: The name of the trial's key, which stands before the colon of its public key.
KEY_NAME = "gfattach-trial-1"

#: Connections at a time; Nix opens 25 at most unless told otherwise.
CONNECTIONS = 64

#: Seconds that a connection may be idle.
IDLE_SECONDS = 60.0


class NixCacheServer:
    """A Nix binary cache on 127.0.0.1, from `start` to `stop`.

    `directory` keeps its secret key (0600), so that a trial keeps its identity; `port` 0 means any,
    and `self.port` says which once it is started. Raises StorageError for what cannot be written, and
    PortError for a port that cannot be had.
    """

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.port = port
        self.probe_path = str(text_path(PROBE_NAME, PROBE_CONTENT))
        self.signed_path = str(SIGNED.output_path)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def public_key(self) -> str:
        """The key to trust, `name:base64`. Makes the key pair if there is none yet."""
        return str(self._key.public_key)

    @property
    def url(self) -> str:
        """Where it serves, once it has been started."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def last_use(self) -> float:
        """When a path was last asked for, on `time.monotonic()`; the start counts as a use."""
        return self._server.last_use if self._server is not None else time.monotonic()

    @property
    def last_request(self) -> float:
        """When anything was last asked for, on `time.monotonic()`; the start counts as a request."""
        return self._server.last_request if self._server is not None else time.monotonic()

    def start(self) -> None:
        """Serve, in a thread of its own. Returns once connections are accepted."""
        if self._server is not None:
            return
        documents = documents_of(self._key)
        try:
            self._server = _Server(self.port, documents)
        except OSError as error:
            raise port_error(self.port, error) from error
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="trial nix cache", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut every connection. The port stays known, so that it can be started again."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.shutdown()
        thread.join()
        server.server_close()
        server.cut_connections()

    def __enter__(self) -> NixCacheServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @functools.cached_property
    def _key(self) -> SecretKey:
        """The key in the directory, made on the first occasion; two that start at once agree on one."""
        path = files.make_private_directory(self.directory) / "nix-cache.key"
        with files.locked(self.directory / "nix-cache.key.lock"):
            content = files.read_bytes(path)
            if content is None:
                key = signature.generate_secret_key(KEY_NAME)
                files.write_atomic(path, key.text().encode())
                return key
            try:
                return signature.parse_secret_key(content.decode("utf-8", "replace"))
            except FormatError as error:
                raise StorageError(
                    f"{path} is not the trial's key: {error.fact}", f"remove it: rm {word(path)}"
                ) from error


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, documents: dict[str, Document]) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.documents = documents
        self.last_use = self.last_request = time.monotonic()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def server_bind(self) -> None:
        # HTTPServer would look the address up in the DNS, which can take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            super().shutdown_request(request)
            return
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            known = request in self._open
            self._open.discard(request)
        super().shutdown_request(request)
        if known:
            self._slots.release()

    def cut_connections(self) -> None:
        """End what is open, so that a stopped cache is a dead one to every client."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # A small answer must not wait for the acknowledgement of its headers.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer with the document."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with what would go before the document."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # what follows is a body that nobody reads
        path = self.path.partition("?")[0]
        self.server.last_request = time.monotonic()
        if path != "/nix-cache-info":  # whoever only looks whether the cache lives does not keep it alive
            self.server.last_use = self.server.last_request
        document = self.server.documents.get(path)
        status = HTTPStatus.NOT_FOUND if document is None else HTTPStatus.OK
        document = document or Document(b"not found\n", "text/plain")
        self.send_response(status)
        self.send_header("Content-Type", document.kind)
        self.send_header("Content-Length", str(len(document.content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(document.content)
        self.wfile.flush()

    def version_string(self) -> str:
        """What the `Server` header says."""
        return "gfattach-trial"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: the server shares a process whose output belongs to others."""
